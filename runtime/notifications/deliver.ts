/** Brings messages to their receivers: to each of them one at a time, in their order, and to all of them at once. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError, toHyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { pause } from "../store/leader.ts";
import { type Head, noteRefused, noteTaken, readHeads } from "./outbox.ts";
import { send } from "./send.ts";
import { storeSummary } from "./summary.ts";

const LOOK_MS = 1000;
const SUMMARY_MS = 60_000;
/** For messages on their way, where this process ends: one whose arrival is not noted comes again. */
const END_MS = 5000;
/** Messages that have just been stored here, and those behind one that was taken, are not left until the next look. */
let wake: () => void = () => {};
export const wakeDelivery = () => wake();

/** Receivers to which a message is on its way. */
const busy = new Set<string>();

/** One process of those on a database does this, until the signal. */
export async function deliver(signal: AbortSignal) {
  let summaryAt = 0;
  while (!signal.aborted) {
    const early = new AbortController();
    wake = () => early.abort();
    const isTime = performance.now() >= summaryAt;
    if (isTime) summaryAt = performance.now() + SUMMARY_MS;
    await look(signal, isTime).catch((error) =>
      log.debug({ cause: error }, "messages wait for the database"),
    );
    await pause(LOOK_MS, AbortSignal.any([signal, early.signal]));
  }
  const deadline = performance.now() + END_MS;
  while (busy.size > 0 && performance.now() < deadline) await sleep(50);
}

async function look(signal: AbortSignal, withSummary: boolean) {
  if (withSummary) await storeSummary();
  for (const head of await readHeads()) {
    if (busy.has(head.receiver) || signal.aborted) continue;
    busy.add(head.receiver);
    void bring(head)
      .catch(async (error) => {
        log.warn({ error }, `what became of a message to ${head.receiver} is not noted`);
        await sleep(LOOK_MS); // else it would be sent again at once
      })
      .finally(() => {
        busy.delete(head.receiver);
        wakeDelivery();
      });
  }
}

async function bring(head: Head) {
  const refused = await send(head.receiver, head.settings, head.message).then(
    () => undefined,
    (error) => toHyperError(error),
  );
  if (refused) await noteRefused(head, refused);
  else await insist(() => noteTaken(head));
}

/** A message that has arrived would be sent again if that were not noted. */
async function insist(note: () => Promise<void>) {
  for (;;) {
    try {
      return await note();
    } catch (error) {
      const isAway = error instanceof HyperError && error.code !== "internal";
      if (!isAway) throw error;
      await sleep(LOOK_MS);
    }
  }
}
