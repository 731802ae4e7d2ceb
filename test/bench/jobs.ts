/**
 * `node test/lab/lab.mjs bun test/bench/jobs.ts [--json]`: jobs beside bare pg-boss on the same database, in one run: how
 * soon an idle worker begins a job, and how many jobs that do nothing a backlog drains in a second. Then a linked
 * clone with `Prefer: respond-async` beside the synchronous call.
 */
import { mkdirSync } from "node:fs";
import { cpus } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { PgBoss, type WorkOptions } from "pg-boss";
import { PROCESS } from "../../runtime/access/caller.ts";
import { settings } from "../../runtime/core/settings.ts";
import { observer } from "../../runtime/events/bus.ts";
import { stopBoss } from "../../runtime/jobs/boss.ts";
import type { NewJob } from "../../runtime/jobs/job.ts";
import type { Runner } from "../../runtime/jobs/runner.ts";
import { submitJobs } from "../../runtime/jobs/submit.ts";
import { Worker } from "../../runtime/jobs/worker.ts";
import { connectionOptions } from "../../runtime/store/database.ts";
import { closeDatabase } from "../../runtime/store/state.ts";
import { at, image, machine, STATE, start } from "../fixtures/live/machine.ts";

/** Each takes turns with the other, so that both have the same machine; the first jobs of a turn are not counted. */
const ROUNDS = 2;
const IDLE_JOBS = 200;
const WARMING_JOBS = 50;
const BACKLOG = 10_000;
/** Until pg-boss has counted what waits: without, it begins with a pause of up to a minute, as little as it has to do. */
const COUNTED_MS = 3000;
const CLONES = 20;
/** Jobs taken at once, by both. */
const AT_ONCE = 200;

const quantile = (all: number[], q: number) =>
  all.toSorted((a, b) => a - b)[Math.ceil(q * all.length) - 1] ?? Number.NaN;

/** Where each job tells that it was begun. */
let begun: () => void = () => {};

const nothing: Runner = {
  reaches: async () => true,
  async run() {
    begun();
    return { status: 200, body: {} };
  },
  isRepeatable: async () => true,
  endPrograms: async () => [],
  remove: async () => [],
  failure: (code, message) => ({ status: 500, body: { code, error: message } }),
  prepare: () => Promise.reject(new Error("there are no schedules")),
  submitted: () => {},
  report: () => {},
};

const job: NewJob = {
  ...{ function: "/nothing", host: "local", input: {}, submitter: PROCESS, domains: [] },
  locks: { exclusive: [], shared: [] },
};

interface Queue {
  submit(count: number): Promise<unknown>;
  /** Resolves to how it ends. */
  work(): Promise<() => Promise<unknown>>;
  /** Nothing of it is at work while the other one is measured. */
  close(): Promise<unknown>;
}

async function ours(): Promise<Queue> {
  observer.submitted = () => {}; // pg-boss keeps its queues in order, as in a process that works on jobs
  return {
    submit: (count) => submitJobs(Array.from({ length: count }, () => job)),
    async work() {
      const worker = new Worker(nothing);
      await worker.start();
      return () => worker.stop(1000);
    },
    close: stopBoss,
  };
}

/** pg-boss as it is, woken by NOTIFY. */
async function bare(options: WorkOptions): Promise<Queue> {
  const boss = new PgBoss({
    ...(await connectionOptions()),
    schema: "bare",
    useListenNotify: true,
    // how many wait, by which one that takes jobs one by one knows that it need not sleep
    ...{ superviseIntervalSeconds: 1, monitorIntervalSeconds: 1, queueCacheIntervalSeconds: 1 },
  });
  await boss.start();
  await boss.createQueue("nothing", { notify: true });
  return {
    submit: (count) =>
      count === 1
        ? boss.send("nothing", {})
        : boss.insert(
            "nothing",
            Array.from({ length: count }, () => ({ data: {} })),
          ),
    async work() {
      await boss.work("nothing", options, async (jobs) => {
        for (const _ of jobs) begun();
        return options.perJobResults && jobs.map(({ id }) => ({ id, status: "completed" }));
      });
      return () => boss.offWork("nothing");
    },
    close: () => boss.stop({ graceful: false }),
  };
}

const single = () => bare({ batchSize: 1, localConcurrency: 10, burstWhenReadyExceeds: 1 });
/** Each job has an outcome of its own, as ours have. */
const batches = () => bare({ batchSize: AT_ONCE, burstWhenBatchFull: true, perJobResults: true });

async function pickUp(open: () => Promise<Queue>): Promise<number[]> {
  const { submit, work, close } = await open();
  const stop = await work();
  await sleep(2000);
  const taken: number[] = [];
  for (let n = 0; n < WARMING_JOBS + IDLE_JOBS; n++) {
    const started = new Promise<void>((resolve) => {
      begun = resolve;
    });
    const submitted = performance.now();
    await submit(1);
    await started;
    taken.push(performance.now() - submitted);
    await sleep(20);
  }
  await stop();
  await close();
  return taken.slice(WARMING_JOBS);
}

async function drain(open: () => Promise<Queue>): Promise<number> {
  const { submit, work, close } = await open();
  await submit(BACKLOG);
  await sleep(COUNTED_MS);
  let [count, first] = [0, 0];
  const all = new Promise<void>((resolve) => {
    begun = () => {
      if (count === 0) first = performance.now();
      if (++count === BACKLOG) resolve();
    };
  });
  const stop = await work();
  await all;
  const seconds = (performance.now() - first) / 1000;
  await stop();
  await close();
  return BACKLOG / seconds;
}

async function clones() {
  await image("base.qcow2", "1G");
  await machine("base", { disks: [at("base.qcow2")] });
  mkdirSync(STATE, { recursive: true, mode: 0o755 }); // for PostgreSQL's user
  const server = await start();
  const json = { "Content-Type": "application/json" };
  const post = (name: string, headers = {}) =>
    fetch(`${server.url}/libvirt/clone`, {
      method: "POST",
      headers: { ...json, ...headers },
      body: JSON.stringify({ source: "base", target: name, linked: true }),
    });
  const synchronous = async (name: string) => {
    const began = Date.now();
    if (!(await post(name)).ok) throw new Error("the clone failed");
    return Date.now() - began;
  };
  /** Until the job has ended, as the server tells: how soon somebody looks is that caller's choice. */
  const asynchronous = async (name: string) => {
    const began = Date.now();
    const answer = await post(name, { Prefer: "respond-async" });
    if (answer.status !== 202) throw new Error(await answer.text());
    const url = new URL(`${answer.headers.get("Location")}`, `${server.url}/`);
    for (;;) {
      const looked = await fetch(url);
      if (!looked.ok) throw new Error(`${url}: ${await looked.text()}`);
      const { data } = (await looked.json()) as { data: { state: string; ended_at: string } };
      if (data.state === "completed") return Date.parse(data.ended_at) - began;
      if (data.state === "failed") throw new Error("the clone failed");
      await sleep(50); // as the typed client does
    }
  };
  await synchronous("warm-sync");
  await asynchronous("warm-async");
  const taken = { synchronous: [] as number[], asynchronous: [] as number[] };
  for (let n = 0; n < CLONES; n++) {
    for (const [kind, call] of Object.entries({ synchronous, asynchronous })) {
      taken[kind as keyof typeof taken].push(await call(`${kind}-${n}`));
    }
  }
  await server.stop();
  return taken;
}

const verdict = (met: boolean) => (met ? "met" : "NOT MET");
const median = (all: number[]) => quantile(all, 0.5);
const ms = (all: number[], q = 0.5) => `${quantile(all, q).toFixed(1)} ms`;

console.log(`${cpus().length} cores, ${cpus()[0]?.model}`);
Object.assign(settings().jobs, { concurrency: AT_ONCE, per_host: AT_ONCE });
const idle = { ours: [] as number[], bare: [] as number[] };
for (let round = 0; round < ROUNDS; round++) {
  idle.ours.push(...(await pickUp(ours)));
  idle.bare.push(...(await pickUp(batches)));
}
const ratio = median(idle.ours) / median(idle.bare);
const p99 = quantile(idle.ours, 0.99);
console.log(
  `idle pick-up: ${ms(idle.ours)}, bare pg-boss ${ms(idle.bare)}: ${ratio.toFixed(2)} (${verdict(ratio <= 1.5)});`,
  `p99 ${ms(idle.ours, 0.99)}, bare ${ms(idle.bare, 0.99)} (${verdict(p99 < 100)})`,
);

const rates = { ours: 0, single: 0, batches: 0 };
for (let round = 0; round < ROUNDS; round++) {
  rates.single = Math.max(rates.single, await drain(single));
  rates.batches = Math.max(rates.batches, await drain(batches));
  rates.ours = Math.max(rates.ours, await drain(ours));
}
const part = rates.ours / rates.single;
console.log(
  `backlog of ${BACKLOG}: ${Math.round(rates.ours)} jobs/s, bare pg-boss one by one ${Math.round(rates.single)}:`,
  `${part.toFixed(2)} (${verdict(part >= 0.7)}); in batches ${Math.round(rates.batches)}:`,
  (rates.ours / rates.batches).toFixed(2),
);
await closeDatabase();

const taken = await clones();
const slower = median(taken.asynchronous) / median(taken.synchronous);
console.log(
  `linked clone: respond-async ${ms(taken.asynchronous)}, synchronous ${ms(taken.synchronous)}:`,
  `${slower.toFixed(2)} (${verdict(slower <= 1.3)})`,
);
process.exit();
