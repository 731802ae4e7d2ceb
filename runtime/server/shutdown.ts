/** The end of a server: calls at work are answered, or roll back, and no session is left behind. */
import { constants } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { allAnswered, callsInFlight } from "../http/in-flight.ts";
import { reportUnknown } from "../http/report.ts";
import { closeHypervisors } from "../hypervisor/registry.ts";
import type { Listener } from "./listener.ts";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;

/** For cancelled calls to roll back. */
const ROLLBACK_TIMEOUT_MS = 5000;

/** The first signal lets calls end; a second one does not. */
export function endOnSignals(listener: Listener) {
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

async function end(listener: Listener) {
  const { shutdown } = settings().limits;
  const stopped = listener.stop();
  const { size } = callsInFlight;
  if (size > 0) log.info(`ending; ${size} calls have ${shutdown} s to end`);
  await Promise.race([allAnswered(), sleep(shutdown * 1000)]);
  const late = [...callsInFlight];
  if (late.length > 0) {
    log.warn({ calls: late.map(({ id }) => id) }, "calls are cut off, since they took too long");
    for (const call of late) call.abort();
    await Promise.race([allAnswered(), sleep(ROLLBACK_TIMEOUT_MS)]);
  }
  await Promise.race([stopped, sleep(500)]); // answers on their way
  await Promise.race([listener.stop(true), sleep(500)]);
  await closeHypervisors();
}

function endNow(code: number) {
  setTimeout(() => process.exit(code), 1000);
  void closeHypervisors().finally(() => process.exit(code));
}
