/** One hypervisor: its transport, and its lanes of warm virsh sessions. */
import { HyperError } from "../core/errors.ts";
import { type Logger, log as own } from "../core/log.ts";
import { observer } from "../events/bus.ts";
import { type HypervisorSettings, isTestDriver, lanePools } from "./lane-pools.ts";
import { isRead, type Lane, laneOf } from "./lanes.ts";
import {
  failureOf,
  isLost,
  lostMidway,
  nameHypervisor,
  type Outcome,
  timeoutError,
  toOutcome,
  unwrap,
} from "./outcomes.ts";
import { type Session, SessionLost } from "./session.ts";
import { MAX_COMMANDS_PER_FRAME } from "./session-frames.ts";
import type { Pool } from "./session-pool.ts";
import { execWithSudo, spawnWithSudo } from "./sudo.ts";
import { type Arg, withTexts } from "./text-arguments.ts";
import type {
  ExecOptions,
  ExecResult,
  OneShotOptions,
  SpawnOptions,
  Transport,
} from "./transport.ts";
import { outcomeUnknown } from "./virsh-errors.ts";
import { commandLine } from "./virsh-quote.ts";

export interface CallOptions {
  /** Milliseconds. @default the configured `virsh.timeout` */
  timeout?: number;
  signal?: AbortSignal;
  /** The log of the call. @default the log of the process */
  log?: Logger;
}

export class Hypervisor {
  readonly alias: string;
  readonly uri: string;
  readonly transport: Transport;
  #lanes: Record<Lane, Pool>;
  #timeout: number;
  #exec: Transport["exec"];
  #spawn: Transport["spawn"];

  constructor(alias: string, uri: string, settings: HypervisorSettings, transport: Transport) {
    this.alias = alias;
    this.uri = uri;
    this.transport = transport;
    this.#timeout = settings.timeout * 1000;
    this.#exec = settings.sudo ? execWithSudo(transport, alias) : transport.exec;
    this.#spawn = settings.sudo ? spawnWithSudo(transport, alias) : transport.spawn;
    this.#lanes = lanePools(transport, settings);
  }

  get isTest() {
    return isTestDriver(this.transport);
  }

  /** The sessions of each lane; the test driver has one for all lanes. */
  get sessions() {
    const lanes = Object.entries(this.#lanes).map(([lane, pool]) => ({ lane, ...pool.size }));
    return this.isTest ? lanes.slice(0, 1) : lanes;
  }

  /** Whether there is an SSH connection to it now; undefined for a hypervisor that needs none. */
  get connected() {
    return this.transport.connected;
  }

  /** Runs commands, in order, in one round trip on a warm session. A failed one does not stop the next. */
  async virsh(commands: Arg[][], options: CallOptions = {}): Promise<Outcome[]> {
    if (commands.length === 0) return [];
    const lanes = commands.map((command) =>
      laneOf(command.map((arg) => (typeof arg === "object" ? "" : `${arg}`))),
    );
    const lane = lanes.find((one) => one !== "read") ?? "read";
    return this.#withArguments(lane, commands, (argvs) =>
      this.#runWithRetry(lane, argvs, options, true),
    );
  }

  /** Runs a long command, or one that must be cancelled, in a process of its own, which the signal ends. */
  async oneShot(command: Arg[], options: OneShotOptions & CallOptions): Promise<string> {
    if (this.isTest) return unwrap((await this.virsh([command], { timeout: options.timeout }))[0]);
    const connect = ["virsh", "-q", "-c", this.transport.uri];
    const outcomes = await this.#withArguments("process", [command], async ([argv = []]) => {
      const { stdout, stderr, exitCode } = await this.exec([...connect, ...argv], options);
      return [exitCode === 0 ? stdout : nameHypervisor(failureOf(stderr, argv), this.alias)];
    });
    return unwrap(outcomes[0]);
  }

  async exec(
    argv: string[],
    { log = own, ...options }: ExecOptions & Pick<CallOptions, "log">,
  ): Promise<ExecResult> {
    const started = performance.now();
    const result = await this.#exec(argv, options);
    const ms = performance.now() - started;
    log.debug({ host: this.alias, argv, ms, exitCode: result.exitCode }, `${argv[0]}`);
    return result;
  }

  overwrite = async (path: string, content: Uint8Array) =>
    (await this.transport.overwrite?.(path, content)) ?? false;

  spawn(argv: string[], { log = own, ...options }: SpawnOptions & Pick<CallOptions, "log">) {
    log.debug({ host: this.alias, argv }, `${argv[0]} starts`);
    if (options.lasting) return this.transport.spawn(argv, options); // it is virsh, which needs no sudo
    return this.#spawn(argv, options);
  }

  async close() {
    for (const pool of new Set(Object.values(this.#lanes))) pool.close();
    await this.transport.close();
  }

  /** Puts the texts of commands into files while they run, and reports to the observer how they went. */
  async #withArguments(
    lane: string,
    commands: Arg[][],
    run: (argvs: string[][]) => Promise<Outcome[]>,
  ): Promise<Outcome[]> {
    const began = performance.now();
    let outcomes: Outcome[] = [];
    try {
      outcomes = await withTexts(this.transport, commands, run);
      return outcomes;
    } finally {
      const succeeded = outcomes.filter((outcome) => typeof outcome === "string").length;
      const ms = performance.now() - began;
      observer.virsh?.({ host: this.alias, lane, commands: commands.length, succeeded, ms });
    }
  }

  /** Repeats once, on a fresh session, a read that lost its connection, and a change that did not begin. */
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
      const lost = outcomes.filter(isLost);
      const noneBegan =
        lost.length === outcomes.length && lost.every(({ code }) => code === "unreachable");
      if (!again || lost.length === 0 || !(isRead(lane) || noneBegan)) return outcomes;
      log.info({ host: this.alias, command, cause: lost[0] }, "connection lost, trying once more");
    } catch (error) {
      if (!(error instanceof SessionLost)) throw error;
      const ms = performance.now() - started;
      log.warn({ host: this.alias, argvs, ms, error }, "virsh session lost");
      if (error.reason === "aborted") throw new HyperError("cancelled", error.message);
      if (error.reason === "timeout") throw timeoutError(this.alias, lane, command, error);
      if (!isRead(lane) && error.started) throw outcomeUnknown(command, error);
      if (!again) throw new HyperError("unreachable", `hypervisor ${this.alias}: ${error.message}`);
    }
    this.#lanes[lane].drop();
    return this.#runWithRetry(lane, argvs, options, false);
  }

  #run(lane: Lane, argvs: string[][], options: CallOptions): Promise<Outcome[]> {
    const { timeout = this.#timeout, signal } = options;
    const throwIfGone = () => {
      if (signal?.aborted) throw new HyperError("cancelled", "the client disconnected");
    };
    throwIfGone();
    // A change is never cut off in the middle, and the test driver would lose its state with the session.
    const cancel = lane === "change" || this.isTest ? undefined : signal;
    const work = async (session: Session) => {
      throwIfGone(); // while the session was opened
      const lines = argvs.map(commandLine);
      if (lane === "read" && lines.length > 1 && lines.length <= MAX_COMMANDS_PER_FRAME) {
        const answers = await session.runInOneFrame(lines, timeout, cancel);
        if (answers) return answers; // else each command again, to learn which of them failed
      }
      const replies = await session.run(lines, timeout, cancel);
      if (isRead(lane) && lostMidway(replies)) {
        session.kill();
        throw new SessionLost("ended", true, "the connection to libvirt was lost meanwhile");
      }
      const outcomes = replies
        .map((reply, i) => toOutcome(reply, argvs[i]?.[0] ?? "", lane))
        .map((outcome) => nameHypervisor(outcome, this.alias));
      if (outcomes.some(isLost)) session.kill();
      return outcomes;
    };
    return this.#lanes[lane].use(work, timeout, signal);
  }
}
