/**
 * What one process that works on jobs does for all on its database: it brings messages to their receivers, and
 * evaluates alert rules.
 */
import { setTimeout as sleep } from "node:timers/promises";

let ends: (() => Promise<void>)[] = [];

export async function startLeading() {
  const [{ lead }, { deliver }, { watchRules }] = await Promise.all([
    import("../store/leader.ts"),
    import("../notifications/deliver.ts"),
    import("../alerts/watch.ts"),
  ]);
  const both = async (signal: AbortSignal) => {
    await Promise.all([deliver(signal), watchRules(signal)]);
  };
  ends = [lead("messages", both)]; // together, so that an alert is told at once
}

/** For a measurement that waits for a hypervisor. */
const END_TIMEOUT_MS = 6000;

export async function stopLeading() {
  const ended = Promise.all(ends.splice(0).map((end) => end()));
  await Promise.race([ended, sleep(END_TIMEOUT_MS, undefined, { ref: false })]);
}
