/** Work that one process at a time does, of all those on one database. The database itself tells when it has ended. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "pg";
import { log } from "../core/log.ts";
import { connectionOptions } from "./database.ts";

const RETRY_MS = 1000;
/** A leader whose connection is lost without a word sees it then. */
const LOOK_MS = 5000;

const TAKE = "SELECT pg_try_advisory_lock(hashtext('hypersdk leader'), hashtext($1)) AS taken";

/**
 * Does `work` as soon as no other process does, until its signal is aborted: with the loss of the connection, which is
 * the lock, or the end. What it throws is logged, and it is begun again. Resolves to how to end it.
 */
export function lead(name: string, work: (signal: AbortSignal) => Promise<void>) {
  const end = new AbortController();
  const done = (async () => {
    while (!end.signal.aborted) {
      await turn(name, work, end.signal).catch((error) =>
        log.debug({ cause: error }, `${name}: the database cannot be asked yet`),
      );
      await pause(RETRY_MS, end.signal);
    }
  })();
  return async () => {
    end.abort();
    await done;
  };
}

/** One connection's time. */
async function turn(name: string, work: (signal: AbortSignal) => Promise<void>, end: AbortSignal) {
  const { Client } = require("pg") as typeof import("pg");
  const client = new Client(await connectionOptions());
  const lost = new AbortController();
  client.on("error", () => lost.abort());
  client.on("end", () => lost.abort());
  const signal = AbortSignal.any([end, lost.signal]);
  try {
    await client.connect();
    while (!signal.aborted && !(await take(client, name))) await pause(RETRY_MS, signal);
    if (signal.aborted) return;
    const watched = watch(client, signal).catch(() => lost.abort());
    await work(signal).catch((error) => log.error({ error }, `${name}: begins again`));
    lost.abort();
    await watched;
  } finally {
    const ended = client.end().catch(() => {}); // it may never say so where the database is gone
    await Promise.race([ended, sleep(RETRY_MS, undefined, { ref: false })]);
  }
}

async function take(client: Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ taken: boolean }>(TAKE, [name]);
  return rows[0]?.taken === true;
}

async function watch(client: Client, signal: AbortSignal) {
  while (!signal.aborted) {
    await client.query("SELECT 1");
    await pause(LOOK_MS, signal);
  }
}

/** Ends early with the signal. */
export const pause = (ms: number, signal: AbortSignal) =>
  sleep(ms, undefined, { signal }).catch(() => {});
