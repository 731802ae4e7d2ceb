/** Looks at something for everybody who watches it, and only while somebody does: ten who watch cost what one costs. */
import { setTimeout as sleep } from "node:timers/promises";
import { type HyperError, toHyperError } from "./errors.ts";
import { log } from "./log.ts";

/** Looking takes at most this share of the time, however much there is to see. */
const SHARE = 0.25;
/** What comes together is answered with one look. */
const TOGETHER_MS = 30;
const FIRST_PAUSE_MS = 2000;
const MAX_PAUSE_MS = 15_000;

/** Looks once; resolves to the milliseconds until the next look is due. */
export type Look = () => Promise<number>;

export abstract class Watched<Watcher> {
  /** Why nothing can be seen now. */
  failure: HyperError | null = null;
  #watchers = new Set<Watcher>();
  #end: AbortController | undefined;
  #wake = Promise.withResolvers<void>();

  get error(): string | null {
    return this.failure?.message ?? null;
  }

  get watchers(): Iterable<Watcher> {
    return this.#watchers;
  }

  get isWatched() {
    return this.#watchers.size > 0;
  }

  /** Throws where nothing can be looked at, as at a hypervisor that is not configured any more. */
  join(watcher: Watcher) {
    if (!this.#end) this.#start();
    this.#watchers.add(watcher);
  }

  leave(watcher: Watcher) {
    this.#watchers.delete(watcher);
    if (!this.isWatched) this.stop();
  }

  stop() {
    this.#end?.abort();
    this.#end = undefined;
  }

  /** Called when the first one watches. */
  protected abstract begin(signal: AbortSignal): Look;
  /** Called when the error is another one. */
  protected abstract tell(): void;

  /** Something has happened: the next look is due now. */
  protected wake() {
    this.#wake.resolve();
  }

  #start() {
    const end = new AbortController();
    const look = this.begin(end.signal);
    this.#end = end;
    this.failure = null;
    void this.#run(look, end.signal);
  }

  async #run(look: Look, signal: AbortSignal) {
    for (let failures = 0; !signal.aborted; ) {
      const began = performance.now();
      let due = 0;
      try {
        due = await look();
        failures = 0;
      } catch (error) {
        failures++;
        this.#fail(signal, error);
      }
      const took = performance.now() - began;
      const pause = failures > 0 ? Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** failures) : 0;
      const next = Math.max(due, took / SHARE - took, pause);
      await this.#pause(next, Math.max(TOGETHER_MS, pause, took), signal);
    }
  }

  /** Until the next look, or until something asks for one, but `least` milliseconds. */
  async #pause(ms: number, least: number, signal: AbortSignal) {
    await sleep(least, undefined, { signal }).catch(() => {});
    const rest = new AbortController();
    const wait = sleep(Math.max(0, ms - least), undefined, {
      signal: AbortSignal.any([signal, rest.signal]),
    }).catch(() => {});
    await Promise.race([wait, this.#wake.promise]);
    rest.abort();
    this.#wake = Promise.withResolvers();
  }

  #fail(signal: AbortSignal, error: unknown) {
    if (signal.aborted) return;
    const failure = toHyperError(error);
    if (failure.code === "internal") log.error({ error }, "what is watched cannot be read");
    if (this.error === failure.message) return;
    this.failure = failure;
    this.tell();
  }
}
