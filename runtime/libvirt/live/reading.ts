/** One thing of a hypervisor, such as its networks, that is read for everybody who watches it. */
import { type Look, Watched } from "../../core/watched.ts";
import type { Kind } from "../../events/fleet-event.ts";
import { type Context, createContext } from "../../hypervisor/context.ts";
import { beforeClose } from "../../hypervisor/registry.ts";
import { hear } from "./hear.ts";

/** Also where events are heard: some changes have none, as that of a pool's free space. */
const PERIOD_MS = 10_000;

interface What<T> {
  host: string;
  /** The events after which it is read again at once. */
  kinds: Kind[];
  read(ctx: Context): Promise<T>;
}

export class Reading<T> extends Watched<() => void> {
  readonly host: string;
  /** Undefined before the first time since somebody looks. */
  value: T | undefined;
  /** Grows with each change of the value or of the error. */
  version = 0;
  #what: What<T>;
  #text = "";

  constructor(what: What<T>) {
    super();
    this.host = what.host;
    this.#what = what;
  }

  override stop() {
    super.stop();
    this.value = undefined;
    this.#text = "";
  }

  protected begin(signal: AbortSignal): Look {
    const { host, kinds, read } = this.#what;
    const ctx = createContext({ host, signal });
    void hear(ctx, [...kinds, "call"], () => this.wake()); // what was changed here is seen at once
    return async () => {
      const value = await read(ctx);
      const text = JSON.stringify(value);
      if (signal.aborted || (text === this.#text && this.error === null)) return PERIOD_MS;
      this.#text = text;
      this.value = value;
      this.failure = null;
      this.tell();
      return PERIOD_MS;
    };
  }

  protected tell() {
    this.version++;
    for (const told of this.watchers) told();
  }
}

/** Those that somebody has looked at, by what they are. */
const readings = new Map<string, Reading<unknown>>();
const MAX_KEPT = 1000;

/** The one reading of this name, which `what` describes. */
export function readingOf<T>(name: string, what: What<T>): Reading<T> {
  const key = `${what.host} ${name}`;
  if (readings.size >= MAX_KEPT)
    for (const [other, one] of readings) if (!one.isWatched) readings.delete(other);
  const known = (readings.get(key) as Reading<T> | undefined) ?? new Reading(what);
  readings.set(key, known as Reading<unknown>);
  return known;
}

beforeClose((only) => {
  if (only === undefined) for (const reading of readings.values()) reading.stop();
});
