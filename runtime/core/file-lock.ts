/** A lock that processes of one machine agree on, by a file beside the one that they change. */
import { closeSync, openSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError } from "./errors.ts";

/** For another process to release it: a change takes milliseconds. */
const TIMEOUT_MS = 3000;

/** Works on a file that no other process changes meanwhile. Throws `busy`; `what` is what others may be changing. */
export async function withFileLock<T>(
  path: string,
  what: string,
  work: () => T | Promise<T>,
): Promise<T> {
  const lock = `${path}.lock`;
  await hold(lock, what);
  try {
    return await work();
  } finally {
    rmSync(lock, { force: true });
  }
}

async function hold(lock: string, what: string) {
  for (const until = Date.now() + TIMEOUT_MS; ; await sleep(20)) {
    try {
      return closeSync(openSync(lock, "wx", 0o600));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      if (Date.now() < until) continue;
      throw new HyperError("busy", `${what} are being changed by another; if not, remove ${lock}`);
    }
  }
}
