/**
 * The private PostgreSQL of this user on this machine, for a server without `[database] url`: one for all processes of
 * the user, as the child of the one that needed it first. When that one ends, the next to need it starts it again.
 */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../core/log.ts";
import { findBinaries } from "./binaries.ts";
import { type Child, startChild } from "./child.ts";
import { unavailable } from "./errors.ts";
import { initialize, versionOfData } from "./initdb.ts";
import { findPlace, mayHaveData, type Place } from "./place.ts";
import { findPostmaster, removeStaleLocks } from "./postmaster.ts";

/** With the recovery of what a power cut has left. */
const START_TIMEOUT_MS = 60_000;
const END_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

let place: Place | undefined;
let child: Child | undefined;

/** Whether it runs, without waiting: the folder of its socket, or undefined. */
export function runningEmbedded(): string | undefined {
  return place && findPostmaster(place.data)?.status === "ready" ? place.socket : undefined;
}

/** Whether any process of this user has started it. Starts nothing. Throws where this user can have none. */
export const embeddedRuns = () =>
  mayHaveData() && findPostmaster(findPlace().data)?.status === "ready";

/** Starts it unless it runs. Resolves to the folder of its socket. Throws `function_unavailable`. */
export async function startEmbedded(): Promise<string> {
  if (place && findPostmaster(place.data)?.status === "ready") return place.socket;
  place = findPlace(); // makes again what somebody has removed
  const deadline = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const status = findPostmaster(place.data)?.status;
    if (status === "ready") return place.socket;
    if (performance.now() > deadline) {
      throw unavailable(`PostgreSQL was not ready after ${START_TIMEOUT_MS / 1000} s`);
    }
    if (!status && (!child || child.hasEnded())) await start(place);
    if (child?.hasEnded()) refuseUnlessTaken(place, child);
    await sleep(POLL_MS); // it starts, or an old one is on its way out
  }
}

async function start(place: Place) {
  if (!versionOfData(place.data)) await initialize(place);
  const folder = await findBinaries(versionOfData(place.data));
  log.info("the private PostgreSQL is started");
  child = startChild(join(folder, "postgres"), place);
  // until it tells that it is ready, or gives up
  while (!child.hasEnded() && findPostmaster(place.data)?.status !== "ready") await sleep(POLL_MS);
}

/** What PostgreSQL says when `postmaster.pid` names a process that is there. */
const LOCKED = /lock file .* already exists/;

function refuseUnlessTaken({ data, socket }: Place, ended: Child) {
  const { lines } = ended;
  const text = lines.join("\n");
  child = undefined;
  if (findPostmaster(data) || ended.wasLocked()) return;
  if (LOCKED.test(text)) return removeStaleLocks(data, socket);
  log.warn({ postgres: lines }, "the private PostgreSQL does not start");
  throw unavailable(reasonOf(text));
}

function reasonOf(text: string): string {
  if (/No space left on device/.test(text)) return "no space is left on its disk";
  if (/Permission denied/.test(text)) return "PostgreSQL may not use its folder";
  if (/setpriv|flock/.test(text)) {
    return "it is started by setpriv and flock of util-linux, which do not do it";
  }
  return "PostgreSQL does not start; the server's log says why";
}

/** Ends it if this process has started it. */
export async function stopEmbedded(): Promise<void> {
  const ending = child;
  child = undefined;
  if (!ending || ending.hasEnded()) return;
  ending.process.kill("SIGINT");
  const timer = new AbortController();
  const late = sleep(END_TIMEOUT_MS, "late", { signal: timer.signal }).catch(() => "ended");
  if ((await Promise.race([ending.ended, late])) === "late") {
    log.warn("the private PostgreSQL takes long to end, and is told to end at once");
    ending.process.kill("SIGQUIT");
  }
  timer.abort();
}
