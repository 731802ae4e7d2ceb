/** Bytes between a stream and a running program, no faster than the slower of the two takes them. */
import type { Readable } from "node:stream";
import type { ByteStream } from "../core/bytes.ts";
import { HyperError } from "../core/errors.ts";
import { garbageWatch } from "./collect-garbage.ts";
import { cancelled } from "./collect-output.ts";
import type { Spawned } from "./transport.ts";

/** A caller who sends nothing for so long has gone without a word, and a program that takes nothing hangs. */
const STALL_MS = 120_000;
const LOOK_MS = 5000;

interface Flow {
  /** Throws what ends the flow. */
  onChunk?: (chunk: Uint8Array) => void;
  signal: AbortSignal;
}

/**
 * Writes a stream to a program, whose input stays open. Resolves to false when the program takes no more: it has ended,
 * and its own words tell why. Rejects with what has broken the stream.
 */
export async function sendBytes(
  source: ByteStream,
  { stdin, ended }: Pick<Spawned, "stdin" | "ended">,
  { onChunk, signal }: Flow,
): Promise<boolean> {
  const reader = source.getReader();
  const passed = garbageWatch();
  let isOver = false;
  let wake = () => {};
  const end = () => {
    isOver = true;
    wake();
    reader.cancel().catch(() => {}); // it may have broken already
  };
  const watch = watchFlow(signal, end);
  stdin.once("close", end).once("error", end);
  ended.then(end, end);
  try {
    for (;;) {
      watch.waitFor("the caller has sent nothing");
      const { done, value } = await reader.read();
      if (watch.failure) throw watch.failure;
      if (isOver) return false;
      if (done) return true;
      onChunk?.(value);
      passed(value.length);
      if (stdin.write(Buffer.from(value.buffer, value.byteOffset, value.byteLength))) continue;
      watch.waitFor("the hypervisor has taken nothing");
      await new Promise<void>((resolve) => {
        wake = resolve;
        stdin.once("drain", resolve);
        if (isOver) resolve();
      });
    }
  } finally {
    watch.end();
    stdin.off("close", end).off("error", end);
    end();
  }
}

/** One timer for a whole flow: a timer and a promise for each piece would cost as much as the piece itself. */
function watchFlow(signal: AbortSignal, stop: () => void) {
  let waiting = { what: "", since: performance.now() };
  const fail = (error: HyperError) => {
    watch.failure ??= error;
    stop();
  };
  const onAbort = () => fail(cancelled("the stream"));
  const timer = setInterval(() => {
    if (performance.now() - waiting.since < STALL_MS) return;
    fail(new HyperError("timed_out", `${waiting.what} for ${STALL_MS / 1000} s`));
  }, LOOK_MS);
  signal.addEventListener("abort", onAbort, { once: true });
  const watch = {
    failure: undefined as HyperError | undefined,
    waitFor(what: string) {
      waiting = { what, since: performance.now() };
    },
    end() {
      clearInterval(timer);
      signal.removeEventListener("abort", onAbort);
    },
  };
  if (signal.aborted) onAbort();
  return watch;
}

/** The output of a program as a stream of exactly so many bytes; fewer are an error, by `failed` from its end. */
export function outputOf(
  { stdout, ended, kill }: Spawned,
  size: number,
  failed: (result: Awaited<Spawned["ended"]>) => Error,
): ByteStream {
  const passed = garbageWatch();
  const pieces = piecesOf(stdout);
  let left = size;
  const end = (why: string) => {
    pieces.end();
    kill(cancelled(why));
    stdout.resume();
  };
  return new ReadableStream<Uint8Array>(
    {
      async pull(out) {
        const piece = left > 0 ? await pieces.next() : undefined;
        if (piece) {
          const wanted = piece.subarray(0, left);
          left -= wanted.length;
          passed(wanted.length);
          out.enqueue(wanted);
          if (left > 0) return;
        }
        const result = left > 0 ? await ended : undefined;
        end("the program"); // it may have more to say, which nobody asked for
        if (result) throw failed(result);
        out.close();
      },
      cancel: () => end("the stream"),
    },
    { highWaterMark: 0 },
  );
}

/**
 * What there is to read, piece by piece. The stream is listened to all the while: what nobody listens to,
 * node:child_process lets flow away when the program ends.
 */
function piecesOf(stdout: Readable) {
  const events = ["readable", "end", "close"] as const;
  let isAwaited = false;
  let look = () => {};
  const onEvent = () => isAwaited && look();
  for (const event of events) stdout.on(event, onEvent);
  return {
    /** Resolves once there is something; to undefined at the end. */
    next: () =>
      new Promise<Buffer | undefined>((resolve, reject) => {
        look = () => {
          const piece: Buffer | null = stdout.read();
          isAwaited = !piece && !stdout.readableEnded && !stdout.destroyed;
          if (piece) resolve(piece);
          else if (stdout.errored) reject(stdout.errored);
          else if (!isAwaited) resolve(undefined);
        };
        look();
      }),
    end() {
      for (const event of events) stdout.off(event, onEvent);
    },
  };
}
