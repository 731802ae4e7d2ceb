/** Functions that answer with events, one after the other, in place of one answer. */
import type * as z from "zod";

export interface StreamEvent<T = unknown> {
  /** The kind of event; "error" is the last event of a stream that fails, and no function's own. */
  event?: string | undefined;
  /** By which a client may go on after it: browsers send it as `Last-Event-ID`. */
  id?: string | undefined;
  data: T;
}

export interface EventSource<T = unknown> extends AsyncIterator<StreamEvent<T>> {
  /** What can be read without waiting; those who read many at once ask for it after `next`. */
  ready?(): StreamEvent<T>[];
}

export interface Events<T = unknown> extends AsyncIterable<StreamEvent<T>> {
  [Symbol.asyncIterator](): EventSource<T>;
}

/**
 * "sse": always; `output` is the shape of each event's `data`. "bytes": none, but bytes (core/bytes.ts). Else where the
 * boolean field `when` of the input is true; `events` is that shape then, and `output` that of the answer otherwise.
 */
export type Stream = "sse" | "bytes" | { when: string; events: z.ZodType };

interface Streaming {
  stream?: Stream | undefined;
  output: z.ZodType;
}

/** The shape of each event's `data`; undefined where the input asks for one answer. */
export function eventShape({ stream, output }: Streaming, input: object): z.ZodType | undefined {
  if (stream === "sse") return output;
  if (!stream || stream === "bytes") return undefined;
  return (input as Record<string, unknown>)[stream.when] === true ? stream.events : undefined;
}

export const isEvents = (data: unknown): data is Events =>
  typeof data === "object" && data !== null && Symbol.asyncIterator in data;

/** Changes the `data` of each event. The source ends with it, also when nobody has read from it yet. */
export function mapEvents(source: Events, change: (data: unknown) => unknown): Events {
  const from = source[Symbol.asyncIterator]();
  const end = async () => {
    await from.return?.();
    return { done: true as const, value: undefined };
  };
  const changed = (event: StreamEvent) => ({ ...event, data: change(event.data) });
  const next = async () => {
    const step = await from.next();
    if (step.done) return step;
    try {
      return { done: false as const, value: changed(step.value) };
    } catch (error) {
      await end();
      throw error;
    }
  };
  const ready = () => from.ready?.().map(changed) ?? [];
  return { [Symbol.asyncIterator]: () => ({ next, ready, return: end }) };
}

/**
 * The same for what many streams share: data that is frozen is the same for ever, so that its change is made once. What
 * this returns is frozen then, too.
 */
export function onceEach<T>(change: (data: T) => T): (data: T) => T {
  const known = new WeakMap<object, T>();
  return (data) => {
    if (typeof data !== "object" || data === null || !Object.isFrozen(data)) return change(data);
    const before = known.get(data);
    if (before !== undefined) return before;
    const changed = Object.freeze(change(data));
    known.set(data, changed);
    return changed;
  };
}
