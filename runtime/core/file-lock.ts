/** A lock that processes of one machine agree on, of the folder of the file that they change. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { HyperError } from "./errors.ts";

/** Seconds for another process to release it: a change takes milliseconds. */
const TIMEOUT_S = 3;
/** flock's exit code for that. Its default, 1, is also that of other failures. */
const LATE = 75;

/**
 * Works on a file that no other process changes meanwhile; its folder must be there. The kernel releases the lock with the
 * process that holds it, however that ends. Throws `busy`; `what` is what others may be changing.
 */
export async function withFileLock<T>(
  path: string,
  what: string,
  work: () => T | Promise<T>,
): Promise<T> {
  const holder = await hold(dirname(path), what);
  try {
    return await work();
  } finally {
    holder.stdin?.end();
    await once(holder, "close");
  }
}

/** Resolves to the process that has the lock, until its input ends. */
async function hold(folder: string, what: string): Promise<ChildProcess> {
  const place = `${folder}/.`; // flock would make a file in the place of a folder that is not there
  const words = ["-w", `${TIMEOUT_S}`, "-E", `${LATE}`, place, "sh", "-c", "echo; cat"];
  const child = spawn("flock", words, { stdio: "pipe" });
  const said = text(child.stderr);
  const ended = new Promise<string | number | null>((resolve) => {
    child.once("error", ({ message }) => resolve(message)).once("exit", resolve);
  });
  const end = await Promise.race([once(child.stdout, "data").then(() => undefined), ended]);
  if (end === undefined) return child;
  if (end === LATE) throw new HyperError("busy", `${what} are being changed by another process`);
  throw new Error(`flock ${place}: ${typeof end === "string" ? end : (await said).trim()}`);
}
