/** What a function's `run` may touch. Tests and scripts may replace any part of it. */
import { type Caller, checkDomain, checkHost, mayUse, PROCESS } from "../access/caller.ts";
import { toHyperError } from "../core/errors.ts";
import { type Logger, log } from "../core/log.ts";
import { settings, uriOf } from "../core/settings.ts";
import { diagnose } from "./diagnose.ts";
import type { Arg, CallOptions, Hypervisor } from "./hypervisor.ts";
import { type Outcome, unwrap } from "./outcomes.ts";
import { openHypervisor } from "./registry.ts";
import type { ExecOptions, ExecResult } from "./transport.ts";

export interface Virsh {
  /** Run one short command on a warm session; resolves to what it printed. Throws `HyperError`. */
  (command: Arg[], options?: CallOptions): Promise<string>;
  /** Run several in one round trip; throws the first failure, after all have run. */
  all(commands: Arg[][], options?: CallOptions): Promise<string[]>;
  /** The same, but a failure takes its command's place in the answer. */
  settled(commands: Arg[][], options?: CallOptions): Promise<Outcome[]>;
  /** Run one in a process of its own, ended at `timeout` (milliseconds) or when the signal says so. */
  oneShot(command: Arg[], options: { timeout: number; signal?: AbortSignal }): Promise<string>;
}

export interface Context {
  /** The alias of the hypervisor this call is for, and its libvirt URI. */
  host: string;
  uri: string;
  virsh: Virsh;
  /** Run another program on the hypervisor, such as qemu-img. The caller judges its exit code. */
  exec(argv: string[], options?: Partial<ExecOptions>): Promise<ExecResult>;
  /** Aborted when the client disconnects. */
  signal: AbortSignal;
  log: Logger;
  /** Who calls, and what they may do. */
  caller: Caller;
  /** Throws `forbidden` for a domain that is not the caller's: for names that the function makes up. */
  checkDomain(name: string): void;
  /** The aliases of all hypervisors that they may use, and the same context on another of them. */
  hosts: string[];
  forHost(host: string): Context;
  /** What the caller named: nothing, one alias, or, for a function of scope "fleet", several. */
  requestedHosts?: string | string[];
}

/** What a script or a test may choose. */
export type ContextOptions = Partial<
  Pick<Context, "host" | "uri" | "virsh" | "exec" | "signal" | "log">
>;

/** What the server knows of a call; a script's call has none of it. */
export interface CallScope {
  /** @default this process, which may do everything */
  caller?: Caller | undefined;
  requestedHosts?: string | string[] | undefined;
  /** Waits until the call may begin on a hypervisor. Throws `busy`. */
  admit?: (host: string) => Promise<void>;
  /**
   * Commands end when the signal says so. A function that changes something runs to its end when its client
   * disconnects, and hands `ctx.signal` only to what it can undo.
   * @default true
   */
  cancellable?: boolean;
}

export function createContext(options: ContextOptions = {}, scope: CallScope = {}): Context {
  const { host = settings().default_host, signal = new AbortController().signal } = options;
  const { caller = PROCESS, requestedHosts, admit, cancellable = true } = scope;
  const callLog = options.log ?? log;
  const common = cancellable ? { signal, log: callLog } : { log: callLog };
  const at = (alias: string, ready: () => Promise<void>): Context => {
    let target: Hypervisor | undefined; // a context whose hypervisor was closed stays closed
    const hypervisor = async () => {
      await ready();
      target ??= await openHypervisor(alias);
      return target;
    };
    return {
      virsh: virshOf(hypervisor, common),
      exec: async (argv, given) =>
        (await hypervisor()).exec(argv, { timeout: EXEC_TIMEOUT_MS, ...common, ...given }),
      ...{ host: alias, uri: uriOf(alias), signal, log: callLog, caller, requestedHosts },
      checkDomain: (name) => checkDomain(caller, name),
      get hosts() {
        return Object.keys(settings().hosts).filter((alias) => mayUse(caller, alias));
      },
      forHost,
    };
  };
  // the pipeline has admitted the call to its own hypervisor; each other one admits with its first command
  const forHost = (alias: string) => {
    checkHost(caller, alias);
    return at(alias, async () => admit?.(alias));
  };
  const replaced = Object.fromEntries(
    Object.entries(options).filter(([, part]) => part !== undefined),
  );
  // a test that brings its own virsh needs no configured hypervisor
  if (options.virsh) {
    const own = { signal, log: callLog, caller, hosts: [host], forHost };
    const check = { checkDomain: (name: string) => checkDomain(caller, name) };
    return { ...own, ...check, ...replaced, host } as Context;
  }
  return Object.assign(
    at(host, async () => {}),
    replaced,
  );
}

const EXEC_TIMEOUT_MS = 30_000;

function virshOf(hypervisor: () => Promise<Hypervisor>, common: CallOptions): Virsh {
  const settled: Virsh["settled"] = async (commands, options) => {
    const target = await hypervisor();
    const outcomes = await target.virsh(commands, { ...common, ...options });
    return diagnose(target, commands, outcomes, common);
  };
  const one = async (command: Arg[], options?: CallOptions) =>
    unwrap((await settled([command], options))[0]);
  return Object.assign(one, {
    settled,
    all: async (commands: Arg[][], options?: CallOptions) =>
      (await settled(commands, options)).map(unwrap),
    oneShot: async (command: Arg[], options: CallOptions & { timeout: number }) => {
      const target = await hypervisor();
      const run = target.oneShot(command, { ...common, ...options });
      const outcome = await run.catch(toHyperError);
      return unwrap((await diagnose(target, [command], [outcome], common))[0]);
    },
  });
}
