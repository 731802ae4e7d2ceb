/**
 * An answer of server-sent events. It ends with its source, with its client, with the right to it, and at once with
 * the server. A client that does not read holds up its source; nothing is kept for it but the event on its way.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Context } from "hono";
import { type SSEStreamingApi, streamSSE } from "hono/streaming";
import { chunks } from "../core/chunks.ts";
import { HyperError } from "../core/errors.ts";
import { type EventSource, type Events, onceEach, type StreamEvent } from "../core/stream.ts";
import type { Call, Env } from "./call.ts";
import { whileAllowed } from "./check-token.ts";
import { failureBody } from "./envelope.ts";
import { onHeartbeat } from "./heartbeat.ts";
import { openStreams } from "./in-flight.ts";

/** Clients ignore it. */
const COMMENT = ": \n\n";

/** Of one server: each holds a connection, and its source. */
const MAX_STREAMS = 1000;
const RETRY_SECONDS = 5;

/** How long a client may leave an event unread; then its connection is ended. */
const UNREAD_MS = 60_000;
/** In one write, so that a client that does not read holds up little. */
const MAX_AT_ONCE = 256;

type Source = EventSource;

/** Throws `busy` while there are as many streams as the server has, and `rate_limited` where one caller has their share. */
export function checkRoom({ holder, settings }: Call) {
  if (openStreams.size >= MAX_STREAMS)
    throw new HyperError("busy", `${MAX_STREAMS} streams are open already; try again later`);
  const { streams } = settings.limits;
  const own = [...openStreams].filter((call) => call.holder === holder).length;
  if (holder === "" || own < streams) return;
  const text = `you have ${streams} streams open already; close one first, or raise [limits] streams`;
  throw new HyperError("rate_limited", text, { details: { retry_after: RETRY_SECONDS } });
}

export function streamed(c: Context<Env>, events: Events): Response {
  const { call } = c.env;
  const source = events[Symbol.asyncIterator]();
  if (c.req.method === "HEAD") {
    end(source, call);
    return c.body(null, 200, { "Content-Type": "text/event-stream" });
  }
  openStreams.add(call);
  c.header("X-Accel-Buffering", "no"); // nginx would keep events back
  return streamSSE(c, async (out) => {
    const stop = () => {
      openStreams.delete(call);
      out.abort(); // ends a write to a client that does not read
      end(source, call);
    };
    call.signal.addEventListener("abort", stop, { once: true });
    out.onAbort(() => call.abort());
    if (call.signal.aborted) stop();
    const fail = async (error: Error) => {
      const { body } = failureBody(error, c);
      await out.writeSSE({ event: "error", data: JSON.stringify(body) });
    };
    try {
      await pump(out, source, call, fail);
    } catch (error) {
      if (!call.signal.aborted) await fail(error as Error);
    } finally {
      openStreams.delete(call);
      call.signal.removeEventListener("abort", stop);
      call.log.debug({ path: call.path }, "a stream has ended");
    }
  });
}

type Fail = (error: Error) => Promise<void>;

/** Writes each event before it asks for the next. */
async function pump(out: SSEStreamingApi, source: Source, call: Call, fail: Fail) {
  const { signal } = call;
  let writing: number | undefined = performance.now();
  const quiet = onHeartbeat(async () => {
    if (writing === undefined) await out.write(COMMENT);
    else if (performance.now() - writing > UNREAD_MS) {
      call.log.info({ path: call.path }, "a stream is cut off, since its client does not read");
      call.abort();
    }
  });
  const leave = whileAllowed(call, async (why) => {
    if (writing === undefined) await fail(why);
    call.abort();
  });
  signal.addEventListener("abort", quiet, { once: true });
  try {
    await out.write(COMMENT); // the client learns at once that the stream has begun
    while (!signal.aborted) {
      writing = undefined;
      const step = await source.next();
      if (step.done || signal.aborted) return;
      const events = [step.value, ...(source.ready?.() ?? [])];
      for (const some of chunks(events, MAX_AT_ONCE)) {
        writing = performance.now();
        await out.write(some.map(frame).join(""));
      }
      await turn(); // a source that has much ready would hold up every other call
    }
  } finally {
    quiet();
    leave();
  }
}

/** JSON has no line breaks. */
function frame({ event, id, data }: StreamEvent): string {
  const name = event === undefined ? "" : `event: ${oneLine(event)}\n`;
  const number = id === undefined ? "" : `id: ${oneLine(id)}\n`;
  return `${name}data: ${textOf(data)}\n${number}\n`;
}

const textOf = onceEach<unknown>((data) => JSON.stringify(data));
const oneLine = (text: string) => text.replace(/[\r\n]/g, "");

/** A generator that waits for something ends when that has come, or heeds `ctx.signal`. */
function end(source: Source, { log }: Call) {
  Promise.resolve(source.return?.()).catch((error) => log.error({ error }, "the end of a stream"));
}
