/** A running program whose input and output are streams: it ends by itself, at its timeout, or with the signal. */
import type { Readable, Writable } from "node:stream";
import { HyperError } from "../core/errors.ts";
import { cancelled } from "./collect-output.ts";
import type { Spawned, SpawnOptions } from "./transport.ts";

export interface Running {
  /** Its name, for messages. */
  name: string;
  stdin: Writable;
  stdout: Readable;
  stderr: Readable;
  /** Resolves once all output has been read. Rejects when it cannot be known. */
  exitCode: Promise<number>;
  /** Ends the program at once, and everything it started. */
  end(): void;
}

/** Characters of standard error that are kept, the last ones. */
const MAX_STDERR = 64 * 1024;

export function spawned(
  { name, stdin, stdout, stderr, exitCode, end }: Running,
  { timeout, signal }: SpawnOptions,
): Spawned {
  let said = "";
  stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-MAX_STDERR);
  });
  stdout.on("error", () => {}); // its reader hears of it, and `ended`
  const { promise: killed, reject } = Promise.withResolvers<never>();
  let isOver = false;
  const kill = (why: Error) => {
    if (isOver) return;
    reject(why);
    end();
    stdout.resume(); // over SSH it has ended once nothing of it is left
  };
  const late = `${name} took longer than ${timeout / 1000} s`;
  const timer = setTimeout(() => kill(new HyperError("timed_out", late)), timeout);
  const onAbort = () => kill(cancelled(name));
  signal?.addEventListener("abort", onAbort, { once: true });
  const ended = Promise.race([exitCode, killed])
    .then((exitCode) => ({ exitCode, stderr: said }))
    .finally(() => {
      isOver = true;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
    });
  ended.catch(() => {}); // whoever waits for it hears of it
  killed.catch(() => {});
  if (signal?.aborted) onAbort();
  return { stdin, stdout, ended, kill };
}
