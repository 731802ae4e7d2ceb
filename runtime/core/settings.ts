/** The configuration in force: read with its first use, once for the process. */
import { type Config, loadConfig } from "./config.ts";
import { HyperError } from "./errors.ts";

let config: Config | undefined;

export function settings(): Config {
  config ??= loadConfig();
  return config;
}

/** The libvirt URI of a configured hypervisor. Throws `invalid_input` for another alias. */
export function uriOf(alias: string): string {
  const { hosts } = settings();
  const host = Object.hasOwn(hosts, alias) ? hosts[alias] : undefined;
  if (host) return host.uri;
  throw unknownHypervisor([alias]);
}

export function unknownHypervisor(aliases: string[]): HyperError {
  const unknown = aliases.map((alias) => JSON.stringify(alias)).join(", ");
  const configured = Object.keys(settings().hosts).join(", ");
  const text = `host: unknown hypervisor ${unknown}; configured: ${configured}`;
  return new HyperError("invalid_input", text);
}
