/** A download whose connection breaks off is taken up where it broke, as long as the server has the same file. */
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { ByteStream } from "../../core/bytes.ts";
import { HyperError } from "../../core/errors.ts";
import type { Logger } from "../../core/log.ts";
import { type Answer, request, serverError } from "./request.ts";
import { shown } from "./url.ts";

interface Running {
  first: Answer;
  url: string;
  /** Undefined where the server does not tell it. */
  size: number | undefined;
  field: string;
  signal: AbortSignal;
  log: Logger;
}

interface Listener {
  onChunk(chunk: Uint8Array): void;
  /** Throws for bytes that are not those that were wanted. */
  onEnd(): void;
}

/** Silence after which a connection counts as broken. */
const SILENCE_MS = 30_000;
/** Waits before attempts, as long as these bring nothing; after the last one the download is given up. */
const PAUSES_MS = [500, 1000, 2000, 4000, 8000];

export function resumable(running: Running, { onChunk, onEnd }: Listener): ByteStream {
  const { first, size, field, log } = running;
  const reading = new AbortController();
  const signal = AbortSignal.any([running.signal, reading.signal]);
  let { message } = first;
  let chunks = message[Symbol.asyncIterator]();
  let [at, toSkip, failures] = [0, 0, 0];

  async function takeUp(why: string) {
    message.destroy();
    for (let reason = why; ; ) {
      const pause = PAUSES_MS[failures++];
      const text = `broke off after ${at} bytes: ${reason}`;
      if (pause === undefined) throw serverError(field, first.url, text);
      log.info(`${shown(first.url)} ${text}. It is asked for the rest.`);
      await sleep(pause, undefined, { signal });
      try {
        message = await askForRest({ ...running, signal }, at);
        chunks = message[Symbol.asyncIterator]();
        toSkip = message.statusCode === 200 ? at : 0;
        return;
      } catch (error) {
        if (!(error instanceof HyperError) || error.code !== "command_failed") throw error;
        reason = error.message;
      }
    }
  }

  /** The next bytes; undefined at the end. */
  async function next(): Promise<Uint8Array | undefined> {
    for (;;) {
      const piece = await nextOf(chunks, message).catch((error: Error) => error);
      const isWhole = size === undefined ? message.complete : at >= size;
      if (piece instanceof Error) await takeUp(piece.message);
      else if (piece === undefined && isWhole) return undefined;
      else if (piece === undefined) await takeUp("the answer ended");
      else {
        const fresh = piece.subarray(Math.min(toSkip, piece.length));
        toSkip -= piece.length - fresh.length;
        if (fresh.length > 0) return fresh;
      }
    }
  }

  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await next();
        if (chunk) {
          [at, failures] = [at + chunk.length, 0];
          onChunk(chunk);
          controller.enqueue(chunk);
        } else {
          onEnd();
          controller.close();
        }
      },
      cancel() {
        reading.abort();
        message.destroy();
      },
    },
    { highWaterMark: 0 },
  );
}

async function nextOf(chunks: AsyncIterator<Uint8Array>, message: IncomingMessage) {
  const silence = new Error(`nothing came for ${SILENCE_MS / 1000} s`);
  const timer = setTimeout(() => message.destroy(silence), SILENCE_MS);
  try {
    const { done, value } = await chunks.next();
    return done ? undefined : value;
  } finally {
    clearTimeout(timer);
  }
}

/** By which a server tells that a file is still the same; a weak ETag does not. */
const validatorOf = ({ etag, "last-modified": modified }: IncomingHttpHeaders) =>
  etag && !etag.startsWith("W/") ? etag : modified;

/** The rest of the file, or all of it again from a server that gives no parts. */
async function askForRest({ first, url, size, field, signal }: Running, at: number) {
  if (at === 0) return (await request(url, field, {}, signal)).message;
  const validator = validatorOf(first.message.headers);
  const lost = (why: string) =>
    new HyperError(
      "invalid_input",
      `${field}: ${first.url.host} broke off after ${at} bytes, ${why}`,
    );
  if (!validator)
    throw lost(
      "and tells neither ETag nor Last-Modified, without which the rest cannot be asked for",
    );
  const headers = { Range: `bytes=${at}-`, "If-Range": validator };
  const { message } = await request(url, field, headers, signal);
  if (isSame(message, validator, at, size)) return message;
  message.destroy();
  throw lost("and has another file there by now");
}

function isSame(
  { statusCode, headers }: IncomingMessage,
  validator: string,
  at: number,
  size: number | undefined,
): boolean {
  if (statusCode === 200) {
    const length = headers["content-length"];
    return validatorOf(headers) === validator && (size === undefined || length === `${size}`);
  }
  const [, begin, total] = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "") ?? [];
  const isTotal = size === undefined || total === "*" || total === `${size}`;
  return statusCode === 206 && Number(begin) === at && isTotal;
}
