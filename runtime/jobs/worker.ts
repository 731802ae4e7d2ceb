/** A worker: takes jobs of the hypervisors that it can reach, runs them, and says every second that it is there. */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { toHyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { Absence } from "./absence.ts";
import { Attempt } from "./attempt.ts";
import { boss, stopBoss } from "./boss.ts";
import { type Claim, claimJobs, returnJob, takeOverJobs } from "./claim.ts";
import { Endings } from "./endings.ts";
import { beatAll } from "./heartbeat.ts";
import { insist } from "./insist.ts";
import { writeLines } from "./lines.ts";
import { findHosts, findSilent } from "./look.ts";
import { hearNotices, type Notice } from "./notices.ts";
import { runDueSchedules } from "./occur.ts";
import { cancelled, type Outcome, perform } from "./perform.ts";
import { reachEach } from "./reach.ts";
import { createRetention } from "./retention.ts";
import type { Runner } from "./runner.ts";
import { Wake } from "./wake.ts";

const BEAT_MS = 1000;
const POLL_MS = 2000;
const END_MS = 5000;
/** Jobs that end at about the same time make room for several, which are taken together. */
const GATHER_MS = 10;
/** Jobs taken at once from a hypervisor's queue. */
const BATCH = 200;

export class Worker {
  readonly name = `${hostname()}/${process.pid}/${randomBytes(3).toString("hex")}`;
  readonly #runner: Runner;
  readonly #attempts = new Map<string, Attempt>();
  /** Hypervisors that may have work for us. */
  readonly #hosts = new Set<string>();
  readonly #absence = new Absence();
  #nextLook = 0;
  readonly #endings = new Endings(this.name);
  #ending = false;
  /** The others hear of its jobs as long as it has any, also while it ends. */
  #ended = false;
  readonly #wake = new Wake();
  #taking: Promise<void> | undefined;
  #done: Promise<unknown>[] = [];
  readonly #removeOld = createRetention();
  #deafen: (() => Promise<void>) | undefined;

  constructor(runner: Runner) {
    this.#runner = runner;
  }

  /** Throws `function_unavailable` without a database. */
  async start() {
    await boss();
    this.#deafen = await hearNotices((notice) => this.#hear(notice));
    this.#taking = this.#forever(() => this.#take());
    this.#done = [
      this.#taking,
      this.#everySecond(
        () => beatAll(this.#attempts, this.name),
        () => this.#ended,
      ),
      this.#everySecond(() => runDueSchedules(this.#runner)),
      // apart from schedules: to remove a million jobs takes longer than their time may be late
      this.#everySecond(this.#removeOld),
    ];
    log.info({ worker: this.name }, "the worker takes jobs");
  }

  get size() {
    return this.#attempts.size;
  }

  /** Takes no further job; those at work have `graceMs` to end, and are given back then. */
  async stop(graceMs: number) {
    this.#ending = true;
    this.#wake.up();
    await Promise.race([this.#idle(), sleep(graceMs)]);
    for (const attempt of this.#attempts.values()) attempt.stop("returned");
    await Promise.race([this.#idle(), sleep(END_MS)]);
    this.#ended = true;
    await Promise.race([Promise.all(this.#done), sleep(BEAT_MS)]);
    await this.#deafen?.();
    await stopBoss();
  }

  async #idle() {
    await Promise.race([this.#taking, sleep(END_MS)]); // what it claims at this moment is given back
    while (this.#attempts.size > 0 || !this.#endings.areWritten) await sleep(20);
  }

  #hear({ hosts, cancel }: Notice) {
    if (cancel) this.#attempts.get(cancel)?.stop("cancelled");
    for (const host of hosts ?? []) this.#hosts.add(host);
    if (hosts) this.#wake.up();
  }

  /** A step that fails, because the database is away, is tried again. */
  async #forever(step: () => Promise<void>, isOver = () => this.#ending) {
    while (!isOver()) {
      await step().catch(async (error) => {
        this.#absence.note();
        log.warn({ error }, "the worker waits for the database");
        await sleep(BEAT_MS);
      });
    }
  }

  #everySecond(work: () => Promise<void>, isOver?: () => boolean) {
    return this.#forever(async () => {
      await sleep(BEAT_MS);
      await work();
    }, isOver);
  }

  /** Takes what it has places for, then waits for a notice, the end of a job, or the next look. */
  async #take() {
    const pause = this.#wake.announce();
    if (performance.now() >= this.#nextLook) await this.#look();
    let isFull = false;
    for (const [host, isReached] of await reachEach(this.#hosts, this.#runner)) {
      const free = this.#places(host);
      if (free <= 0) {
        isFull = true;
        continue;
      }
      if (isReached === false) this.#hosts.delete(host);
      if (!isReached) continue;
      this.#hosts.delete(host); // a notice during the claim brings it back
      const { delivered, claims } = await claimJobs(host, free, this.name, this.#standing());
      if (delivered >= free) this.#hosts.add(host); // as the last, so that each has its turn
      this.#beginAll(claims);
    }
    if (this.#hosts.size > 0 && !isFull) return;
    const isWoken = !(await pause(POLL_MS));
    if (isWoken && isFull && this.#attempts.size > 0) await sleep(GATHER_MS);
  }

  /** Jobs of a hypervisor that this worker can begin now. Those of other workers count as well, with the claim. */
  #places(host: string): number {
    const { concurrency, per_host } = settings().jobs;
    const there = [...this.#attempts.values()].filter(({ job }) => job.host === host).length;
    return Math.min(BATCH, concurrency - this.#attempts.size, per_host - there);
  }

  /** What no notice tells, also to a worker that has much to do. */
  async #look() {
    const began = performance.now();
    this.#nextLook = began + POLL_MS;
    for (const host of await findHosts()) this.#hosts.add(host);
    if (performance.now() - began > POLL_MS) this.#absence.note();
    const free = settings().jobs.concurrency - this.#attempts.size;
    if (free <= 0 || !this.#standing().mayTakeOver) return;
    const silent = await findSilent([...this.#attempts.keys()], free);
    for (const [host, isReached] of await reachEach(silent.keys(), this.#runner))
      if (isReached) this.#beginAll(await takeOverJobs(silent.get(host) ?? [], this.name));
  }

  #standing() {
    const own = (id: string) => this.#attempts.has(id);
    return { own, mayTakeOver: this.#absence.isOver };
  }

  #beginAll(claims: Claim[]) {
    for (const claim of claims) this.#begin(claim);
  }

  #begin({ verdict, claimed: job }: Claim) {
    const attempt = new Attempt(job, verdict === "taken over");
    this.#attempts.set(job.id, attempt);
    void this.#run(attempt).finally(() => {
      this.#attempts.delete(job.id);
      this.#wake.up();
    });
  }

  async #run(attempt: Attempt) {
    try {
      const isLate = this.#ending && !attempt.takenOver; // claimed as the end began: nothing is begun
      const outcome = isLate ? undefined : await perform(attempt, this.#runner);
      if (outcome) return await this.#end(attempt, outcome);
      await insist(() => writeLines(attempt));
      if (attempt.stopped === "lost") return;
      const state = await insist(() => returnJob(attempt, this.name));
      if (state === "cancelling") await this.#end(attempt, cancelled(this.#runner));
    } catch (error) {
      log.error({ error, job: attempt.job.id }, "the job could not be brought to its end here");
      attempt.note("error", toHyperError(error).message);
    }
  }

  async #end(attempt: Attempt, outcome: Outcome) {
    this.#runner.report(attempt, outcome.state, outcome.answer);
    await this.#endings.write(attempt, outcome);
  }
}
