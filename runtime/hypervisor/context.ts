/** What a function's `run` may touch. Tests and scripts may replace any part of it. */
import type { Duplex } from "node:stream";
import { type Caller, checkDomain, checkHost, mayUse, PROCESS } from "../access/caller.ts";
import { type DomainRights, rightsByName } from "../access/domain-rights.ts";
import type { BytesIn } from "../core/bytes.ts";
import { toHyperError } from "../core/errors.ts";
import { type Logger, log } from "../core/log.ts";
import { type Progress, unwatched } from "../core/progress.ts";
import { settings, uriOf } from "../core/settings.ts";
import type { Filter, Listener } from "../events/listener.ts";
import type { JobScope } from "../jobs/scope.ts";
import { diagnose } from "./diagnose.ts";
import type { CallOptions, Hypervisor } from "./hypervisor.ts";
import { type Outcome, unwrap } from "./outcomes.ts";
import { openHypervisor } from "./registry.ts";
import type { Arg } from "./text-arguments.ts";
import type {
  ExecOptions,
  ExecResult,
  OneShotOptions,
  Spawned,
  SpawnOptions,
  StreamOptions,
  StreamTarget,
  Terminal,
  TerminalOptions,
} from "./transport.ts";

export interface Virsh {
  /** Run one short command on a warm session; resolves to what it printed. Throws `HyperError`. */
  (command: Arg[], options?: CallOptions): Promise<string>;
  /** Run several in one round trip; throws the first failure, after all have run. */
  all(commands: Arg[][], options?: CallOptions): Promise<string[]>;
  /** The same, but a failure takes its command's place in the answer. */
  settled(commands: Arg[][], options?: CallOptions): Promise<Outcome[]>;
  /** Run one in a process of its own, ended at `timeout` (milliseconds) or when the signal says so. */
  oneShot(command: Arg[], options: OneShotOptions): Promise<string>;
}

export interface Context {
  /** The alias of the hypervisor this call is for, and its libvirt URI. */
  host: string;
  uri: string;
  virsh: Virsh;
  /** Run another program on the hypervisor, such as qemu-img. The caller judges its exit code. */
  exec(argv: string[], options?: Partial<ExecOptions>): Promise<ExecResult>;
  /**
   * Writes over a file of the hypervisor that has exactly this length, without a process there. False where the login
   * may not, or sees no such file.
   */
  overwrite(path: string, content: Uint8Array): Promise<boolean>;
  /** Start another program there whose input or output is a stream of bytes. Needs a timeout (milliseconds). */
  spawn(argv: string[], options: SpawnOptions): Promise<Spawned>;
  /** What happens on this hypervisor, until the listener is closed; undefined where a test brings its own virsh. */
  follow?(filter: Omit<Filter, "hosts">): Promise<Listener>;
  /** Connect to a TCP port or a Unix socket there; the caller destroys the stream. */
  openStream(target: StreamTarget, options: StreamOptions): Promise<Duplex>;
  /** Start `virsh console` and its like on a terminal; the caller kills it. */
  virshTerminal(words: string[], options: TerminalOptions): Promise<Terminal>;
  /** The bytes that the call brings; undefined for one that brings none. */
  body?: BytesIn | undefined;
  /** Aborted when the client disconnects. */
  signal: AbortSignal;
  log: Logger;
  /** Tells whoever waits for the call how far it is. */
  progress: Progress;
  /** Who calls, what they may do, and which domains are theirs. */
  caller: Caller;
  rights: DomainRights;
  /** Throws `forbidden` for a domain that is not the caller's: for names that the function makes up. */
  checkDomain(name: string): void;
  /** The aliases of all hypervisors that they may use, and the same context on another of them. */
  hosts: string[];
  forHost(host: string): Context;
  /** Only where the call runs as a job. */
  job?: JobScope | undefined;
  /** The browser's session; only over HTTP, for a function that anybody may call. */
  session?: { begin(token: string): Promise<Caller>; end(): void } | undefined;
  /** What the caller named: nothing, one alias, or, for a function of scope "fleet", several. */
  requestedHosts?: string | string[];
}

/** What a script or a test may choose. */
export type ContextOptions = Partial<
  Pick<
    Context,
    | "host"
    | "uri"
    | "virsh"
    | "exec"
    | "spawn"
    | "openStream"
    | "virshTerminal"
    | "body"
    | "signal"
    | "log"
    | "progress"
  >
>;

/** What the server knows of a call; a script's call has none of it. */
export interface CallScope extends Pick<Context, "job" | "session"> {
  /** @default this process, which may do everything; without `rights`, a caller with a query has no domain */
  caller?: Caller | undefined;
  rights?: DomainRights | undefined;
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
  const { host = settings().default_host, progress = unwatched } = options;
  const { signal = new AbortController().signal } = options;
  const { caller = PROCESS, rights = rightsByName(caller), ...rest } = scope;
  const { admit, cancellable = true, ...known } = rest;
  const owned = (alias: string) => ({
    ...{ caller, rights },
    checkDomain: (name: string) => checkDomain(caller, name, rights.sees(alias, name)),
  });
  const callLog = options.log ?? log;
  const variables = known.job && { variables: { [JOB_VARIABLE]: known.job.id } };
  const common = { ...(cancellable && { signal }), log: callLog, ...variables };
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
      overwrite: async (path, content) => (await hypervisor()).overwrite(path, content),
      spawn: async (argv, given) => (await hypervisor()).spawn(argv, { ...common, ...given }),
      async follow(filter) {
        const { follow } = await import("./events/follow.ts"); // few calls wait for something
        return follow({ ...filter, hosts: [alias] }, signal);
      },
      openStream: async (target, given) => (await hypervisor()).transport.openStream(target, given),
      virshTerminal: async (words, given) => {
        const { transport } = await hypervisor();
        return transport.openTerminal(["virsh", "-c", transport.uri, ...words], given);
      },
      ...{ host: alias, uri: uriOf(alias), signal, log: callLog, progress },
      ...{ ...known, ...owned(alias) },
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
  const given = Object.entries(options).filter(([, part]) => part !== undefined);
  const replaced = Object.fromEntries(given);
  // a test that brings its own virsh needs no configured hypervisor
  if (options.virsh) {
    const own = { ...owned(host), signal, log: callLog, progress, hosts: [host], forHost };
    const overwrite = async () => false;
    return { ...own, overwrite, ...replaced, host } as unknown as Context;
  }
  const context = at(host, async () => {});
  return Object.assign(context, replaced);
}

const EXEC_TIMEOUT_MS = 30_000;

/** In the environment of every program that a job starts, so that another worker can end them. */
export const JOB_VARIABLE = "HYPERSDK_JOB";

export function virshOf(hypervisor: () => Promise<Hypervisor>, common: CallOptions): Virsh {
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
    oneShot: async (command: Arg[], options: OneShotOptions) => {
      const target = await hypervisor();
      const run = target.oneShot(command, { ...common, ...options });
      const outcome = await run.catch(toHyperError);
      return unwrap((await diagnose(target, [command], [outcome], common))[0]);
    },
  });
}
