/** The events of a fleet, as a loop that goes on after a lost connection, with the event after the last one. */
import { HyperError } from "../core/errors.ts";
import type { Call, CallOptions, EventsInput, FleetEvent } from "./types.ts";

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 15_000;
/** A server that is started anew; a refusal is the end. */
const AWAY = ["unreachable", "busy", "function_unavailable", "rate_limited", "timed_out"];

/** The signal ends the loop without an error. Where events may have been missed, one of kind `stream`, event `resync`, names what to read again. */
export async function* followEvents(
  call: Call,
  { kind, name, event, ...input }: EventsInput = {},
  { host, signal }: Pick<CallOptions, "host" | "signal"> = {},
): AsyncGenerator<FleetEvent, void, undefined> {
  const list = <T>(one: T | T[] | undefined) =>
    one === undefined ? undefined : ([one].flat() as T[]);
  const lists = { kind: list(kind), name: list(name), event: list(event) };
  let { last_event_id } = input;
  for (let pause = FIRST_PAUSE_MS; !signal?.aborted; ) {
    try {
      const events = await call("GET /events", { ...lists, last_event_id }, { host, signal });
      for await (const { id, data } of events) {
        pause = FIRST_PAUSE_MS;
        last_event_id = id ?? last_event_id;
        yield data;
      }
    } catch (error) {
      if (signal?.aborted) return;
      if (!(error instanceof HyperError && AWAY.includes(error.code))) throw error;
    }
    await sleep(pause, signal);
    pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
  }
}

/** Browsers have no node:timers. */
const sleep = (ms: number, signal: AbortSignal | undefined) =>
  new Promise<void>((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal?.addEventListener("abort", end, { once: true });
  });
