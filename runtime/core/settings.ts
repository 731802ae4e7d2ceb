/** The configuration in force: read with its first use, once for the process. */
import { type Config, DEFAULT_FILE, loadConfig } from "./config.ts";
import { HyperError } from "./errors.ts";
import { fileStatus } from "./file-status.ts";

let config: Config | undefined;

export function settings(): Config {
  config ??= loadConfig();
  return config;
}

/** Reads the settings before their first use. A start is quicker by it, because `settings()` needs node:fs. */
export async function openSettings() {
  if (config) return;
  const exists = await fileStatus(DEFAULT_FILE).then(Boolean, () => true);
  config ??= loadConfig(process.env, () => exists);
}

/** The libvirt URI of a configured hypervisor. Throws `invalid_input` for another alias. */
export function uriOf(alias: string): string {
  const { hosts } = settings();
  const host = Object.hasOwn(hosts, alias) ? hosts[alias] : undefined;
  if (host) return host.uri;
  throw unknownHypervisor([alias]);
}

/** `field`: where the aliases are given. */
export function unknownHypervisor(aliases: string[], field = "host"): HyperError {
  const unknown = aliases.map((alias) => JSON.stringify(alias)).join(", ");
  const configured = Object.keys(settings().hosts).join(", ");
  const text = `${field}: unknown hypervisor ${unknown}; configured: ${configured}`;
  return new HyperError("invalid_input", text);
}
