/** A lock that processes of one machine agree on, of a file beside the one that they change. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, fchownSync, openSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { HyperError } from "./errors.ts";

/** Seconds for another process to release it: a change takes milliseconds. */
const TIMEOUT_S = 3;
/** flock's exit code for that. Its default, 1, is also that of other failures. */
const LATE = 75;

/**
 * Works on a file that no other process changes meanwhile; its folder must be there. The kernel releases the lock with the
 * process that has it, however that ends; the file of the lock stays. Throws `busy`; `what` is what others may be changing.
 */
export async function withFileLock<T>(
  path: string,
  what: string,
  work: () => T | Promise<T>,
): Promise<T> {
  const file = openLock(path);
  try {
    await lock(file, what);
    return await work();
  } finally {
    closeSync(file);
  }
}

/** Nobody else may open it, and so hold up those who may change the file. */
function openLock(path: string): number {
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW;
  const file = openSync(`${path}.lock`, flags, 0o600);
  const { uid, gid } = statSync(dirname(path));
  if (process.getuid?.() === 0) fchownSync(file, uid, gid); // the server may be another user
  return file;
}

/** The lock is one of the open file, which flock shares with this process. */
async function lock(file: number, what: string) {
  const words = ["-w", `${TIMEOUT_S}`, "-E", `${LATE}`, "3"];
  const child = spawn("flock", words, { stdio: ["ignore", "ignore", "pipe", file] });
  const said = child.stderr ? text(child.stderr) : "";
  const [code] = await once(child, "close"); // throws where there is no flock
  if (code === LATE) throw new HyperError("busy", `${what} are being changed by another process`);
  if (code !== 0) throw new Error(`flock: ${await said}`.trim());
}
