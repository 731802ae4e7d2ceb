/** What a function's `run` may touch. Tests and scripts may replace any part of it. */
import { type Caller, checkHost, mayUse, PROCESS } from "../access/caller.ts";
import { type Config, loadConfig } from "../core/config.ts";
import { HyperError } from "../core/errors.ts";
import { isSsh } from "../core/libvirt-uri.ts";
import { type Logger, log } from "../core/log.ts";
import { type Arg, type CallOptions, Hypervisor, type Outcome, unwrap } from "./hypervisor.ts";
import { localTransport } from "./local.ts";
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
  /** Who calls, and what they may do. */
  who: Caller;
  /** The aliases of all hypervisors that they may use, and the same context on another of them. */
  hosts: string[];
  on(host: string): Context;
  /** What the caller named: nothing, one alias, or, for a function of scope "fleet", several. */
  asked?: string | string[];
}

/** Resolves when the call may begin on a hypervisor, nothing when at once. Throws `forbidden`, `busy`. */
export type Enter = (host: string) => Promise<void> | undefined;

/** What a caller may choose. */
export type ContextOptions = Partial<Context>;

let hypervisors: { config: Config; open: Map<string, Hypervisor> } | undefined;

/** The configuration in force, read once. */
export function settings(): Config {
  hypervisors ??= { config: loadConfig(), open: new Map() };
  return hypervisors.config;
}

function uriOf(alias: string): string {
  const { hosts } = settings();
  const known = Object.hasOwn(hosts, alias) ? hosts[alias] : undefined;
  if (known) return known.uri;
  const text = `host: unknown hypervisor ${JSON.stringify(alias)}; configured: ${Object.keys(hosts).join(", ")}`;
  throw new HyperError("invalid_input", text);
}

/** Made with the first command there. */
function hypervisor(alias: string): Hypervisor {
  const found = hypervisors?.open.get(alias);
  if (found) return found;
  const uri = uriOf(alias);
  const { virsh, ssh } = settings();
  const transport = isSsh(uri) ? sshTransport(alias, uri, ssh) : localTransport(uri);
  const made = new Hypervisor(alias, uri, virsh, transport);
  hypervisors?.open.set(alias, made);
  return made;
}

/** Those that have been called since the start, or since they were closed. */
export const openHypervisors = () => [...(hypervisors?.open.values() ?? [])];

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
export function createContext(
  given: ContextOptions = {},
  cancellable = true,
  enter?: Enter,
): Context {
  const {
    host,
    asked = host,
    signal = new AbortController().signal,
    log: callLog = log,
    who = PROCESS,
    ...others
  } = given;
  const parts: ContextOptions = Object.fromEntries(
    Object.entries(others).filter(([, part]) => part !== undefined),
  );
  const always = cancellable ? { signal, log: callLog } : { log: callLog };
  const at = (alias: string): Context => {
    const uri = uriOf(alias);
    let target: Hypervisor | undefined; // once it is closed, it is closed for this context
    // what may not enter is a rejection, like all that goes wrong there
    const entered = async <T>(work: (there: Hypervisor) => Promise<T>) => {
      const wait = enter?.(alias);
      if (wait) await wait;
      target ??= hypervisor(alias);
      return work(target);
    };
    const run = (commands: Arg[][], given?: CallOptions) =>
      entered((there) => there.virsh(commands, { ...always, ...given }));
    const virsh: Virsh = async (command, given) => unwrap((await run([command], given))[0]);
    virsh.all = async (commands, given) => (await run(commands, given)).map(unwrap);
    virsh.each = run;
    virsh.long = (command, given) =>
      entered((there) => there.long(command, { ...always, ...given }));
    return {
      host: alias,
      uri,
      virsh,
      exec: (argv, given) =>
        entered((there) => there.exec(argv, { timeout: 30_000, ...always, ...given })),
      signal,
      log: callLog,
      who,
      get hosts() {
        return Object.keys(settings().hosts).filter((one) => mayUse(who, one));
      },
      on,
    };
  };
  const on = (alias: string) => {
    checkHost(who, alias);
    return at(alias);
  };
  const alias = host ?? settings().default_host;
  // a test that brings its own virsh needs no configured hypervisor
  if (parts.virsh)
    return { signal, log: callLog, who, hosts: [alias], on, ...parts, host: alias } as Context;
  return Object.assign(at(alias), { asked }, parts);
}
