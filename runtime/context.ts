/** What a function's `run` may touch. Tests and scripts may replace any part of it. */
import { type Config, loadConfig } from "./config.ts";
import { HyperError } from "./errors.ts";
import { type Arg, type CallOptions, Hypervisor, type Outcome, unwrap } from "./hypervisor.ts";
import { localTransport } from "./local.ts";
import { type Logger, log } from "./log.ts";
import { isSsh } from "./ssh/target.ts";
import { sshTransport } from "./ssh/transport.ts";
import type { ExecOptions, ExecResult } from "./transport.ts";

export interface Virsh {
  /** Run one short command on a warm session; resolves to what it printed. Throws `HyperError`. */
  (command: Arg[], options?: CallOptions): Promise<string>;
  /** Run several in one round trip; throws the first failure, after all have run. */
  all(commands: Arg[][], options?: CallOptions): Promise<string[]>;
  /** The same, but a failure takes its command's place in the answer. */
  each(commands: Arg[][], options?: CallOptions): Promise<Outcome[]>;
  /** Run one in a process of its own, ended at `timeout` (milliseconds) or when the signal says so. */
  long(command: Arg[], options: { timeout: number; signal?: AbortSignal }): Promise<string>;
}

export interface Context {
  /** The alias of the hypervisor this call is for, and its libvirt URI. */
  host: string;
  uri: string;
  virsh: Virsh;
  /** Run another program on the hypervisor, such as qemu-img. The caller judges its exit code. */
  exec(argv: string[], options?: Partial<ExecOptions>): Promise<ExecResult>;
  /** Aborted when the caller goes away. */
  signal: AbortSignal;
  log: Logger;
  /** The aliases of all configured hypervisors, and the same context on another of them. */
  hosts: string[];
  on(host: string): Context;
}

/** What a caller may choose. */
export type ContextOptions = Partial<Context>;

let hypervisors: { config: Config; open: Map<string, Hypervisor> } | undefined;

/** The configuration in force, read once. */
export function settings(): Config {
  hypervisors ??= { config: loadConfig(), open: new Map() };
  return hypervisors.config;
}

function hypervisor(alias: string): Hypervisor {
  const { hosts, virsh, ssh } = settings();
  const known = Object.hasOwn(hosts, alias) ? hosts[alias] : undefined;
  if (!known) {
    const text = `host: unknown hypervisor ${JSON.stringify(alias)}; configured: ${Object.keys(hosts).join(", ")}`;
    throw new HyperError("invalid_input", text);
  }
  const open = hypervisors?.open as Map<string, Hypervisor>;
  const transport = () =>
    isSsh(known.uri) ? sshTransport(alias, known.uri, ssh) : localTransport(known.uri);
  const found = open.get(alias) ?? new Hypervisor(alias, known.uri, virsh, transport());
  open.set(alias, found);
  return found;
}

/** End every session and connection, or those of one hypervisor. */
export async function closeHypervisors(only?: string) {
  const open = [...(hypervisors?.open ?? [])].filter(([alias]) => (only ?? alias) === alias);
  for (const [alias] of open) hypervisors?.open.delete(alias);
  await Promise.all(open.map(([, one]) => one.close()));
}

/**
 * `cancellable`: commands end when the signal says so. A function that changes something runs to its end
 * when its caller goes away, and hands `ctx.signal` only to what it can undo.
 */
export function createContext(given: ContextOptions = {}, cancellable = true): Context {
  const known = Object.entries(given).filter(([, value]) => value !== undefined);
  const options: ContextOptions = Object.fromEntries(known);
  const signal = options.signal ?? new AbortController().signal;
  const always = cancellable ? { signal } : {};
  const host = options.host ?? settings().default_host;
  const on = (alias: string): Context => {
    const target = hypervisor(alias);
    const virsh: Virsh = async (command, given) =>
      unwrap((await target.virsh([command], { ...always, ...given }))[0]);
    virsh.all = async (commands, given) =>
      (await target.virsh(commands, { ...always, ...given })).map(unwrap);
    virsh.each = (commands, given) => target.virsh(commands, { ...always, ...given });
    virsh.long = (command, given) => target.long(command, { ...always, ...given });
    return {
      host: alias,
      uri: target.uri,
      virsh,
      exec: (argv, given) => target.exec(argv, { timeout: 30_000, ...always, ...given }),
      signal,
      log,
      hosts: Object.keys(settings().hosts),
      on,
    };
  };
  // a test that brings its own virsh needs no configured hypervisor
  if (options.virsh) return { signal, log, hosts: [host], on, ...options, host } as Context;
  return { ...on(host), ...options };
}
