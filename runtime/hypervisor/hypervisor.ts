/** One hypervisor: its transport, and its lanes of warm virsh sessions. */
import type { Config } from "../core/config.ts";
import { HyperError } from "../core/errors.ts";
import { type Logger, log as own } from "../core/log.ts";
import { observer } from "../events/bus.ts";
import { type Lane, laneOf } from "./lanes.ts";
import { type Reply, Session, SessionLost } from "./session.ts";
import { Pool } from "./session-pool.ts";
import type { ExecOptions, ExecResult, TextFile, Transport } from "./transport.ts";
import { outcomeUnknown, virshError, virshMessages } from "./virsh-errors.ts";
import { commandLine } from "./virsh-quote.ts";

/** One word of a virsh command. `{ text }` is handed over as a file whose path takes its place. */
export type Arg = string | number | { text: string };

export interface CallOptions {
  /** Milliseconds; the configured `virsh.timeout` unless given. */
  timeout?: number;
  signal?: AbortSignal;
  /** The call's own. @default the process's */
  log?: Logger;
}

/** What a command printed, or why it failed. */
export type Outcome = string | HyperError;

const NOTICE = /^(Disconnected from .* due to|Reconnected to the hypervisor)/;
const NOT_REACHED = /^(Failed to (re)?connect to the hypervisor|Failed to connect socket to .*)/i;

export class Hypervisor {
  readonly alias: string;
  readonly uri: string;
  #transport: Transport;
  #lanes: Record<Lane, Pool>;
  #timeout: number;

  constructor(alias: string, uri: string, settings: Config["virsh"], transport: Transport) {
    this.alias = alias;
    this.uri = uri;
    this.#transport = transport;
    this.#timeout = settings.timeout * 1000;
    const open = async () => new Session(await transport.openSession());
    const lane = (max: number, idle = settings.idle * 1000) =>
      new Pool(open, { max, queue: settings.queue, idle });
    const { sessions } = settings;
    // libvirtd has 20 workers; domstats.ts asks 5 at once
    const own = { read: sessions, stats: 5, change: sessions, agent: Math.ceil(sessions / 2) };
    const { read, stats, change, agent } = transport.lanes ?? own;
    // The state of the test driver lives in its one process: one session, never closed.
    const only = this.isTest ? lane(1, 2 ** 31 - 1) : undefined;
    this.#lanes = {
      read: only ?? lane(read),
      stats: only ?? lane(stats),
      change: only ?? lane(change),
      agent: only ?? lane(agent),
    };
    if (only) return;
    transport.onFull = () => {
      for (const pool of Object.values(this.#lanes)) pool.drop();
    };
  }

  get isTest() {
    return this.#transport.uri.startsWith("test:");
  }

  /** The sessions of each lane; of the test driver, all lanes' are one. */
  get sessions() {
    const lanes = Object.entries(this.#lanes).map(([lane, pool]) => ({ lane, ...pool.size }));
    return this.isTest ? lanes.slice(0, 1) : lanes;
  }

  /** Whether there is an SSH connection to it now; undefined for a hypervisor that needs none. */
  get connected() {
    return this.#transport.connected;
  }

  /** Run commands, in order, in one round trip on a warm session. A failed one does not stop the next. */
  async virsh(commands: Arg[][], options: CallOptions = {}): Promise<Outcome[]> {
    if (commands.length === 0) return [];
    const lanes = commands.map((command) =>
      laneOf(command.map((arg) => (typeof arg === "object" ? "" : `${arg}`))),
    );
    const lane = lanes.find((one) => one !== "read") ?? "read";
    const files: TextFile[] = [];
    const began = performance.now();
    let outcomes: Outcome[] = [];
    try {
      const argvs = await Promise.all(commands.map((command) => this.#argv(command, files)));
      outcomes = await this.#runWithRetry(lane, argvs, options, true);
      return outcomes;
    } finally {
      this.#report(lane, commands.length, outcomes, began);
      for (const file of files) file.remove();
    }
  }

  /** A process of its own, ended when the signal says so: for what is long or must be cancelled. */
  async oneShot(command: Arg[], options: CallOptions & { timeout: number }): Promise<string> {
    const verb = `${command[0]}`;
    if (this.isTest) return unwrap((await this.virsh([command], { timeout: options.timeout }))[0]);
    const files: TextFile[] = [];
    const began = performance.now();
    let outcomes: Outcome[] = [];
    try {
      const argv = [
        "virsh",
        "-q",
        "-c",
        this.#transport.uri,
        ...(await this.#argv(command, files)),
      ];
      const { stdout, stderr, exitCode } = await this.exec(argv, options);
      if (exitCode !== 0) throw nameHypervisor(virshError(virshMessages(stderr), verb), this.alias);
      outcomes = [stdout];
      return stdout;
    } finally {
      this.#report("process", 1, outcomes, began);
      for (const file of files) file.remove();
    }
  }

  async exec(
    argv: string[],
    { log = own, ...options }: ExecOptions & Pick<CallOptions, "log">,
  ): Promise<ExecResult> {
    const started = performance.now();
    const result = await this.#transport.exec(argv, options);
    const ms = performance.now() - started;
    log.debug({ host: this.alias, argv, ms, exitCode: result.exitCode }, `${argv[0]}`);
    return result;
  }

  #report(lane: string, commands: number, outcomes: Outcome[], began: number) {
    const succeeded = outcomes.filter((outcome) => typeof outcome === "string").length;
    const ms = performance.now() - began;
    observer.virsh?.({ host: this.alias, lane, commands, succeeded, ms });
  }

  async close() {
    for (const pool of new Set(Object.values(this.#lanes))) pool.close();
    await this.#transport.close();
  }

  /** Its words, with the path of a file in the place of a text. */
  async #argv(command: Arg[], files: TextFile[]): Promise<string[]> {
    const argv: string[] = [];
    for (const arg of command) {
      if (typeof arg === "object") {
        const file = await this.#transport.putText(arg.text);
        files.push(file);
        argv.push(file.path);
      } else argv.push(`${arg}`);
    }
    return argv;
  }

  /** Repeated once, on a fresh session: a read that lost its connection, and a change that did not begin. */
  async #runWithRetry(
    lane: Lane,
    argvs: string[][],
    options: CallOptions,
    again: boolean,
  ): Promise<Outcome[]> {
    const { log = own } = options;
    const started = performance.now();
    const command = argvs.map(([verb]) => verb).join("; ");
    try {
      const outcomes = await this.#run(lane, argvs, options);
      log.debug({ host: this.alias, argvs, ms: performance.now() - started }, "virsh");
      const broken = outcomes.filter((one) => one instanceof HyperError && isLost(one));
      const unbegun = broken.every((one) => (one as HyperError).code === "unreachable");
      if (
        !again ||
        broken.length === 0 ||
        !(isRead(lane) || (unbegun && broken.length === outcomes.length))
      ) {
        return outcomes;
      }
      log.info(
        { host: this.alias, command, cause: broken[0] },
        "connection lost, trying once more",
      );
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      log.warn(
        { host: this.alias, argvs, ms: performance.now() - started, error },
        "virsh session lost",
      );
      if (error.reason === "aborted") throw new HyperError("cancelled", error.message);
      if (error.reason === "timeout") throw this.#timeoutError(lane, command, error);
      if (!isRead(lane) && error.started) throw outcomeUnknown(command, error);
      if (!again) throw new HyperError("unreachable", `hypervisor ${this.alias}: ${error.message}`);
    }
    this.#lanes[lane].drop();
    return this.#runWithRetry(lane, argvs, options, false);
  }

  #run(lane: Lane, argvs: string[][], options: CallOptions): Promise<Outcome[]> {
    const { timeout = this.#timeout, signal } = options;
    if (signal?.aborted) throw new HyperError("cancelled", "the client disconnected");
    // A change is never cut off in the middle, and the test driver would lose its state with the session.
    const cancel = lane === "change" || this.isTest ? undefined : signal;
    const work = async (session: Session) => {
      if (signal?.aborted) throw new HyperError("cancelled", "the client disconnected"); // while it was opened
      const lines = argvs.map(commandLine);
      if (lane === "read" && lines.length > 1 && lines.length <= MAX_COMMANDS_PER_FRAME) {
        const answers = await session.runInOneFrame(lines, timeout, cancel);
        if (answers) return answers; // else once more, to learn which of them failed
      }
      const replies = await session.run(lines, timeout, cancel);
      if (isRead(lane) && lostMidway(replies)) {
        session.kill();
        throw new SessionLost("ended", true, "the connection to libvirt was lost meanwhile");
      }
      const outcomes = replies
        .map((reply, i) => toOutcome(reply, argvs[i]?.[0] ?? "", lane))
        .map((outcome) => nameHypervisor(outcome, this.alias));
      if (outcomes.some((one) => one instanceof HyperError && isLost(one))) session.kill();
      return outcomes;
    };
    return this.#lanes[lane].use(work, timeout, signal);
  }

  #timeoutError(lane: Lane, command: string, cause: SessionLost): HyperError {
    const text = `virsh ${command} on ${this.alias}: ${cause.message}`;
    const change =
      "; it may still be carried out, so look at the present state before you call again";
    return new HyperError("timed_out", lane === "change" ? text + change : text, { cause });
  }
}

/**
 * Some answers say nothing of a connection that breaks while they are made: `net-list` prints "inactive",
 * `net-info` leaves lines out. The notice tells; where it came late, that the next command reconnected.
 */
function lostMidway(replies: Reply[]): boolean {
  return replies.some(({ stderr }, i) =>
    virshMessages(stderr).some(
      (text) => /^Disconnected /.test(text) || (i > 0 && /^Reconnected /.test(text)),
    ),
  );
}

/** Reads in one frame: readline takes its time with very long lines. */
const MAX_COMMANDS_PER_FRAME = 16;

const isRead = (lane: Lane) => lane === "read" || lane === "stats";

const isLost = ({ code }: HyperError) => code === "unreachable" || code === "outcome_unknown";

/** Failure is a message on stderr; virsh has no exit code here. */
function toOutcome(reply: Reply, verb: string, lane: Lane): Outcome {
  const messages = virshMessages(reply.stderr);
  if (!reply.ran) return new HyperError("unsupported", `virsh refused: ${messages.join("; ")}`);
  const errors = messages.filter((message) => !NOTICE.test(message));
  if (errors.length === 0) return reply.stdout;
  if (errors.every((message) => NOT_REACHED.test(message))) return virshError(errors, verb);
  // A lookup that loses its connection also says "failed to get domain": the notice tells them apart.
  const error = virshError(messages, verb);
  if (error.code !== "unreachable") return error;
  return isRead(lane)
    ? new HyperError("unreachable", `hypervisor: ${messages.join("; ")}`, { cause: error })
    : outcomeUnknown(verb, messages);
}

/** An error of the way to libvirt says which hypervisor it is, and where to look. */
function nameHypervisor(outcome: Outcome, alias: string): Outcome {
  if (!(outcome instanceof HyperError) || outcome.code !== "unreachable") return outcome;
  const { message, cause } = outcome;
  const remedy = /connect socket/i.test(message) ? "; is libvirtd running there?" : "";
  const text = message.replace(/^hypervisor: /, `hypervisor ${alias}: `);
  return new HyperError("unreachable", text + remedy, { cause });
}

/** What a command printed; undefined when what it asked about has gone meanwhile. Throws any other failure. */
export function unlessGone(outcome: Outcome | undefined): string | undefined {
  if (outcome instanceof HyperError && outcome.code !== "not_found") throw outcome;
  return outcome instanceof HyperError ? undefined : outcome;
}

export function unwrap(outcome: Outcome | undefined): string {
  if (outcome instanceof HyperError) throw outcome;
  return outcome ?? "";
}
