/** One listener's own queue: it is bounded, and who does not read is cut off and holds up nobody. */
import type { FleetEvent, Kind } from "./fleet-event.ts";

/** Undefined stands for any. The stream's own notices pass unless they are about other hypervisors or kinds. */
export interface Filter {
  kinds?: readonly Kind[] | undefined;
  /** Aliases. Events of no hypervisor pass. */
  hosts?: readonly string[] | undefined;
  /** Names of domains, networks, pools …; of a job or call, the domain that it names. */
  names?: readonly string[] | undefined;
  /** Names of events, or their actions: `lifecycle`, `started`. */
  events?: readonly string[] | undefined;
  /** Whether the listener may hear of it; the event as they may see it, or undefined. */
  view?: ((event: FleetEvent) => FleetEvent | undefined) | undefined;
}

const has = (wanted: readonly string[] | undefined, ...found: (string | undefined)[]) =>
  !wanted || found.some((one) => one !== undefined && wanted.includes(one));

function passes({ kinds, hosts, names, events }: Filter, event: FleetEvent): boolean {
  if (event.host !== null && !has(hosts, event.host)) return false;
  if (event.kind === "stream") return !kinds || event.kinds.some((one) => has(kinds, one));
  const action = "action" in event ? event.action : undefined;
  const about = "domains" in event ? event.domains : [];
  return (
    has(kinds, event.kind) && has(events, event.event, action) && has(names, event.object, ...about)
  );
}

/** Events, and how long the oldest of them may wait. */
export const MAX_WAITING = 10_000;
const MAX_WAITING_MS = 60_000;

export class Listener implements AsyncIterableIterator<FleetEvent> {
  /** Resolves once it hears of every hypervisor that can be reached; a `resync` is the first event of each. */
  ready: Promise<void> = Promise.resolve();
  /** What is to be done when it ends. */
  onClose = () => {};
  #filter: Filter;
  #leave: (listener: Listener) => void;
  #waiting: { event: FleetEvent; since: number }[] = [];
  #at = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(filter: Filter, leave: (listener: Listener) => void) {
    this.#filter = filter;
    this.#leave = leave;
  }

  /** Takes an event, unless it is none of this listener's. `notice` makes the last event of one that is cut off. */
  push(event: FleetEvent, notice: (reason: string) => FleetEvent) {
    if (this.#ended || !passes(this.#filter, event)) return;
    const { view } = this.#filter;
    const seen = view && event.kind !== "stream" ? view(event) : event;
    if (!seen) return;
    const now = performance.now();
    const oldest = this.#waiting[this.#at];
    const count = this.#waiting.length - this.#at;
    const waited = oldest ? now - oldest.since : 0;
    if (count >= MAX_WAITING || waited > MAX_WAITING_MS) {
      const so = count >= MAX_WAITING ? `${count} events` : `${Math.round(waited / 1000)} s`;
      this.#waiting = [{ event: notice(`the listener did not read for ${so}`), since: now }];
      this.#at = 0;
      this.close();
      return;
    }
    this.#waiting.push({ event: seen, since: now });
    this.#wake?.();
  }

  /** Events that wait to be read. */
  get backlog() {
    return this.#waiting.length - this.#at;
  }

  /** What waits can still be read. */
  close() {
    if (this.#ended) return;
    this.#ended = true;
    this.#leave(this);
    this.onClose();
    this.#wake?.();
  }

  /** Everything that waits, without waiting for more. */
  take(): FleetEvent[] {
    const taken = this.#waiting.slice(this.#at).map(({ event }) => event);
    this.#waiting = [];
    this.#at = 0;
    return taken;
  }

  /** Resolves when something waits to be read, or nothing more comes. */
  async some(): Promise<boolean> {
    while (this.backlog === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
    return this.backlog > 0;
  }

  async next(): Promise<IteratorResult<FleetEvent, undefined>> {
    if (!(await this.some())) return { done: true, value: undefined };
    const { event } = this.#waiting[this.#at++] as { event: FleetEvent };
    if (this.#at >= 1024 || this.#at === this.#waiting.length) {
      this.#waiting = this.#waiting.slice(this.#at);
      this.#at = 0;
    }
    return { done: false, value: event };
  }

  async return(): Promise<IteratorResult<FleetEvent, undefined>> {
    this.take();
    this.close();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}
