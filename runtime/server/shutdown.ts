/** The end of a server: streams end, calls at work are answered, or roll back, and no session is left behind. */
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { allAnswered, callsInFlight, openSockets, openStreams } from "../http/in-flight.ts";
import { reportUnknown } from "../http/report.ts";
import { closeHypervisors } from "../hypervisor/registry.ts";
import { closeDatabase } from "../store/state.ts";
import type { Listener } from "./listener.ts";
import { stopWorker } from "./worker.ts";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** For cancelled calls to roll back. */
const ROLLBACK_TIMEOUT_MS = 5000;

/** The first signal lets calls and jobs end; a second one does not. A worker has no listener. */
export function endOnSignals(listener?: Listener) {
  let ending = false;
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      if (ending) return endNow(128 + constants.signals[signal]);
      ending = true;
      void end(listener).then(() => process.exit(0));
    });
  }
  process.on("exit", () => {
    for (const call of callsInFlight) reportUnknown(call);
  });
}

async function end(listener: Listener | undefined) {
  const { shutdown } = settings().limits;
  const stopped = listener?.stop();
  for (const call of openStreams) call.abort();
  for (const socket of openSockets) socket.end();
  const { size } = callsInFlight;
  if (size > 0) log.info(`ending; ${size} calls have ${shutdown} s to end`);
  const worked = stopWorker(shutdown * 1000);
  await Promise.race([allAnswered(), sleep(shutdown * 1000)]);
  const late = [...callsInFlight];
  if (late.length > 0) {
    log.warn({ calls: late.map(({ id }) => id) }, "calls are cut off, since they took too long");
    for (const call of late) call.abort();
    await Promise.race([allAnswered(), sleep(ROLLBACK_TIMEOUT_MS)]);
  }
  await Promise.race([stopped, sleep(500)]); // answers on their way
  await Promise.race([listener?.stop(true), sleep(500)]);
  await worked;
  await closeHypervisors();
  await closeDatabase();
}

function endNow(code: number) {
  setTimeout(() => process.exit(code), 1000);
  void Promise.all([closeHypervisors(), closeDatabase()]).finally(() => process.exit(code));
}
