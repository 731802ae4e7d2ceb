/** The way to the database: one pool of connections for this process, opened with the first need. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClientConfig, Pool, PoolClient, QueryConfig, QueryResult, QueryResultRow } from "pg";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { Semaphore } from "../core/semaphore.ts";
import { settings } from "../core/settings.ts";
import { optionsOf } from "./connection.ts";
import { runningEmbedded, startEmbedded, stopEmbedded } from "./embedded.ts";
import { databaseError, startsOrEnds, unavailable, unavailableBy } from "./errors.ts";
import { migrate } from "./migrations.ts";
import { registerDatabase, setDatabaseState } from "./state.ts";

const CONNECTIONS = 5;
const WAIT_MS = 10_000;
const RETRY_MS = 50;
/** One connection is left for single statements, which a transaction may wait for: pg-boss makes a queue so. */
const transactions = new Semaphore({
  ...{ slots: CONNECTIONS - 1, queue: Number.POSITIVE_INFINITY, waitMs: WAIT_MS },
});
/** For statements of a server's that are still at work at our end. */
const END_TIMEOUT_MS = 2000;

let pool: Pool | undefined;
/** False until its schema is known to be ours, and again after a lost connection. */
let checked = false;
let opening: Promise<Pool> | undefined;

/** The pool. Throws `function_unavailable`, with the reason, where there is no database of our schema. */
export async function database(): Promise<Pool> {
  const present = inUse();
  if (present) return present;
  opening ??= open().finally(() => {
    opening = undefined;
  });
  return opening;
}

/** One statement; one with a name is planned once a connection. Throws `function_unavailable` if the database is away, and the driver's error otherwise. */
export async function query<R extends QueryResultRow>(
  text: string | QueryConfig,
  values?: unknown[],
): Promise<QueryResult<R>> {
  const client = await connect();
  let failed: Error | undefined;
  try {
    return await client.query<R>(text, values);
  } catch (error) {
    failed = error as Error; // it is lost, or in a transaction that the text has begun: it is not used again
    throw lost(error);
  } finally {
    client.off("error", ignore);
    client.release(failed);
  }
}

/** A connection. The private PostgreSQL may end with the process that started it, and is started again then. */
async function connect(): Promise<PoolClient> {
  const deadline = performance.now() + WAIT_MS;
  for (;;) {
    try {
      const client = await (await database()).connect();
      return client.on("error", ignore); // the statement at work tells it, too
    } catch (error) {
      const away = lost(error);
      const mayPass = !settings().database.url && startsOrEnds(error);
      if (!mayPass || performance.now() > deadline) throw away;
      await sleep(RETRY_MS); // one that ends says so for a moment, and its file still that it is ready
    }
  }
}

/** Runs `work` in one transaction, which is rolled back when it throws. */
export async function transaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
  const leave = await transactions.acquire().catch((cause) => {
    throw unavailable(`none of its connections was free for ${WAIT_MS / 1000} s`, cause);
  });
  try {
    return await inTransaction(work);
  } finally {
    leave();
  }
}

async function inTransaction<T>(work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await connect();
  let failed: Error | undefined;
  let committing = false;
  try {
    await client.query("BEGIN");
    const result = await work(client);
    committing = true;
    await client.query("COMMIT");
    return result;
  } catch (error) {
    failed = error as Error;
    const away = error instanceof HyperError ? undefined : unavailableBy(error);
    if (away) checked = false;
    if (committing && away) throw unknownOutcome(error);
    if (!away) await client.query("ROLLBACK").then(() => (failed = undefined), ignore);
    throw away ?? error;
  } finally {
    client.off("error", ignore);
    client.release(failed);
  }
}

const ignore = () => {};

const unknownOutcome = (cause: unknown) =>
  new HyperError(
    "outcome_unknown",
    "the database was lost while it wrote this; look whether it is there before you try again",
    { cause },
  );

/** How another client of the same database, such as pg-boss, connects. The schema is ours, and the server runs. */
export async function connectionOptions(): Promise<ClientConfig> {
  await database();
  return optionsOf(settings().database.url ?? (await startEmbedded()));
}

/** The pool, unless it has to be opened or looked after first. */
const inUse = () => (checked && (settings().database.url || runningEmbedded()) ? pool : undefined);

async function open(): Promise<Pool> {
  try {
    registerDatabase(inUse, close);
    const address = settings().database.url ?? (await startEmbedded());
    pool ??= createPool(address);
    await migrate(pool);
    checked = true;
    setDatabaseState({ state: "available" });
    return pool;
  } catch (error) {
    const known = databaseError(error);
    const reason = known instanceof HyperError ? known.message : "the server's log says why";
    setDatabaseState({ state: "unavailable", reason });
    throw known;
  }
}

function createPool(address: string): Pool {
  const { Pool } = require("pg") as typeof import("pg"); // loaded with the first need
  // a script that has done its work ends, also with open connections
  const made = new Pool({ ...optionsOf(address), max: CONNECTIONS, allowExitOnIdle: true });
  return made.on("error", (error) => {
    checked = false;
    log.warn({ cause: databaseError(error) }, "an idle connection to the database was lost");
  });
}

function lost(error: unknown): unknown {
  const away = unavailableBy(error);
  if (away) checked = false;
  return away ?? error;
}

async function close(): Promise<void> {
  const closing = pool;
  pool = undefined;
  checked = false;
  setDatabaseState({ state: "unused" });
  const ended = closing?.end().catch(ignore);
  await stopEmbedded(); // ends connections that are still in use
  await Promise.race([ended, sleep(END_TIMEOUT_MS, undefined, { ref: false })]);
}
