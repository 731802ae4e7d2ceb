/**
 * Looks at one hypervisor for everybody who watches its domains, and only while somebody does. What libvirt tells by itself
 * (events) has the list read again at once; statistics are read every two seconds.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { toHyperError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import { type Context, createContext } from "../../hypervisor/context.ts";
import { readDomains } from "../domain/list.ts";
import { readRunning } from "../stats/stats.ts";
import { type Changes, Table } from "./table.ts";

const PERIOD_MS = 2000;
/** Reading takes at most this share of the time, however many domains there are. */
const SHARE = 0.25;
/** Also where every event was heard: some changes have none. */
const LIST_MS = 30_000;
/** Events that come together are answered with one list. */
const TOGETHER_MS = 30;
const MAX_PAUSE_MS = 15_000;

export interface Watcher {
  /** Something has changed; it reads the rows when it can take them. */
  mark(sampler: Sampler, changes: Changes): void;
}

export class Sampler {
  readonly host: string;
  readonly table = new Table();
  /** Why nothing can be read now. */
  error: string | null = null;
  /** Whether the list was read since somebody looks. */
  isRead = false;
  #watchers = new Set<Watcher>();
  #end: AbortController | undefined;
  #wake = Promise.withResolvers<void>();

  constructor(host: string) {
    this.host = host;
  }

  get isWatched() {
    return this.#watchers.size > 0;
  }

  join(watcher: Watcher) {
    if (!this.#end) this.#start(); // it throws for a hypervisor that is not configured any more
    this.#watchers.add(watcher);
  }

  leave(watcher: Watcher) {
    this.#watchers.delete(watcher);
    if (!this.isWatched) this.stop();
  }

  stop() {
    this.#end?.abort();
    this.#end = undefined;
    this.isRead = false;
    this.table.pause();
  }

  #start() {
    const end = new AbortController();
    const ctx = createContext({ host: this.host, signal: end.signal });
    this.#end = end;
    this.error = null;
    const heard = { stale: true, live: false };
    void this.#hear(ctx, heard);
    void this.#run(ctx, heard);
  }

  /** Until the signal comes. Where no events can be heard, every look reads the list. */
  async #hear(ctx: Context, heard: { stale: boolean; live: boolean }) {
    try {
      const listener = await ctx.follow?.({ kinds: ["domain", "hypervisor"] });
      for await (const event of listener ?? []) {
        heard.live = event.kind !== "hypervisor" || event.event !== "lost";
        heard.stale = true;
        this.#wake.resolve();
      }
    } catch (error) {
      log.warn({ host: this.host, error }, "the events of watched domains are not heard");
    }
    heard.live = false;
  }

  async #run(ctx: Context, heard: { stale: boolean; live: boolean }) {
    const { signal } = ctx;
    let [listed, measured, failures] = [0, 0, 0];
    while (!signal.aborted) {
      const began = performance.now();
      const isDue = began - measured >= PERIOD_MS;
      try {
        if (heard.stale || began - listed > LIST_MS || (isDue && !heard.live)) {
          heard.stale = false;
          this.#told(signal, this.table.list(await readDomains(ctx)), true);
          listed = began;
        }
        if (isDue) {
          const changed = this.table.measure(await readRunning(ctx));
          this.#told(signal, { changed, gone: [] });
          measured = began;
        }
        failures = 0;
      } catch (error) {
        heard.stale = true;
        failures++;
        const known = toHyperError(error);
        if (known.code === "internal") log.error({ host: this.host, error }, "watched domains");
        this.#failed(signal, known.message);
      }
      const took = performance.now() - began;
      const pause = failures > 0 ? Math.min(MAX_PAUSE_MS, PERIOD_MS * 2 ** failures) : 0;
      const next = Math.max(PERIOD_MS - (performance.now() - measured), took / SHARE - took, pause);
      await this.#pause(next, Math.max(TOGETHER_MS, pause, took), signal);
    }
  }

  /** Until the next look, or until an event asks for one, but `least` milliseconds. */
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

  #told(signal: AbortSignal, changes: Changes, isList = false) {
    if (signal.aborted) return;
    const isNews = (isList && !this.isRead) || this.error !== null;
    if (isList) this.isRead = true;
    this.error = null;
    if (isNews || changes.changed.length + changes.gone.length > 0) this.#mark(changes);
  }

  #failed(signal: AbortSignal, error: string) {
    if (signal.aborted || this.error === error) return;
    this.error = error;
    this.#mark({ changed: [], gone: [] });
  }

  #mark(changes: Changes) {
    for (const watcher of this.#watchers) watcher.mark(this, changes);
  }
}
