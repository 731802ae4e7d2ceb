/**
 * pg-boss: it delivers jobs to workers. A job stands in the queue of its hypervisor until it has ended; where its
 * worker falls silent, another one takes it over, or pg-boss offers it again. What a job is about stands in our own tables.
 */
import type { PoolClient } from "pg";
import type { Clock, Db, JobInsert, PgBoss } from "pg-boss";
import { log } from "../core/log.ts";
import { observer } from "../events/bus.ts";
import { database, query, transaction } from "../store/database.ts";

/** pg-boss's shortest; a worker says every second that it is there. */
const HEARTBEAT_SECONDS = 10;
/** pg-boss's longest time for a job; a longer one is asked again then, and goes on. */
const LONGEST_SECONDS = 24 * 60 * 60 - 60;
/** pg-boss removes what nobody has taken for so long; 14 days unless it is told, and the job would wait forever. */
const RETENTION_SECONDS = 20 * 365 * 24 * 60 * 60;
/** Until a job that is another worker's is offered anew. */
const RETRY_SECONDS = 5;
/** A process that has not said three times as long that it is there is not in the registry's list of the living. */
const REGISTRY_SECONDS = 5;

/** Its timers keep no process alive: a script that has submitted a job ends, as it does without. */
const clock: Clock = {
  now: () => Date.now(),
  setTimeout: (work, ms) => setTimeout(work, ms).unref(),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  setInterval: (work, ms) => setInterval(work, ms).unref(),
  clearInterval: (timer) => clearInterval(timer as NodeJS.Timeout),
};

let started: Promise<PgBoss> | undefined;
const queues = new Map<string, Promise<string>>();

/** Starts pg-boss with the first need. Throws `function_unavailable` without a database. */
export function boss(): Promise<PgBoss> {
  started ??= start().catch((error) => {
    started = undefined;
    throw error;
  });
  return started;
}

async function start(): Promise<PgBoss> {
  await database();
  const { PgBoss } = await import("pg-boss");
  const works = observer.submitted !== undefined;
  const one = new PgBoss({
    db: { executeSql: (text, values) => query(text, values) },
    schema: "pgboss",
    clock,
    registerInstance: works,
    instanceHeartbeatSeconds: REGISTRY_SECONDS,
    supervise: works,
    superviseIntervalSeconds: 1,
    monitorIntervalSeconds: 1,
    schedule: false, // occur.ts, where a time becomes its job in one transaction
    openTelemetry: { enabled: false },
  });
  one.on("error", (error) => log.warn({ error }, "pg-boss could not do a piece of its work"));
  one.on("warning", (warning) => log.debug({ warning }, "pg-boss warns"));
  try {
    // two processes that make its tables at the same time would fail
    await transaction(async (client) => {
      await client.query("SELECT pg_advisory_xact_lock(hashtext('hypersdk pgboss'))");
      await one.start();
    });
  } catch (error) {
    await one.stop({ graceful: false, close: false }).catch(() => {}); // what of it has started
    throw error;
  }
  return one;
}

/** Whether any process on this database works on jobs. One that was killed counts for some seconds yet. */
export async function hasWorkers(): Promise<boolean> {
  const instances = await (await boss()).getInstances();
  return instances.some(({ live }) => live);
}

export async function stopBoss() {
  const one = await started?.catch(() => undefined);
  started = undefined;
  queues.clear();
  await one?.stop({ graceful: false, close: false });
}

/** The queue of a hypervisor, which is made with its first job. */
export function queueOf(host: string): Promise<string> {
  const known = queues.get(host);
  if (known) return known;
  const queue = makeQueue(`host.${host}`);
  queues.set(host, queue);
  queue.catch(() => queues.delete(host));
  return queue;
}

async function makeQueue(name: string) {
  await (await boss()).createQueue(name, {
    heartbeatSeconds: HEARTBEAT_SECONDS,
    expireInSeconds: LONGEST_SECONDS,
    retentionSeconds: RETENTION_SECONDS,
    retryLimit: 1_000_000, // whether a job may be done again is for its attempt to decide
    retryDelay: RETRY_SECONDS,
  });
  return name;
}

/** A transaction of ours, in which pg-boss works too. */
export const inTransaction = (client: {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}): { db: Db } => ({ db: { executeSql: (text, values) => client.query(text, values) } });

/** Queues whose INSERT is planned once a connection, of which a plan takes 200 kB. */
const PLANNED = 20;
const planned = new Map<string, string>();

/**
 * The same for the INSERT of a queue, which PostgreSQL takes longer to plan than to run. The best plan of pg-boss's other
 * statements depends on how many jobs wait, so that those are planned each time.
 */
export const inserting = (client: PoolClient): { db: Db } => ({
  db: {
    executeSql(text, values) {
      if (planned.size < PLANNED && !planned.has(text))
        planned.set(text, `deliver ${planned.size}`);
      return client.query({ name: planned.get(text), text, values });
    },
  },
});

/** A delivery has the ID of its job. */
export const delivery = (job: { id: string; priority: number; run_at: string }): JobInsert => ({
  id: job.id,
  priority: job.priority,
  startAfter: new Date(job.run_at),
});
