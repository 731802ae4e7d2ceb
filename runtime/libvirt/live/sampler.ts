/**
 * Looks at the domains of one hypervisor for everybody who watches them. What libvirt tells by itself (events) has the
 * list read again at once; statistics are read every two seconds.
 */
import { type Look, Watched } from "../../core/watched.ts";
import { type Context, createContext } from "../../hypervisor/context.ts";
import { readDomains } from "../domain/list.ts";
import { readRunning } from "../stats/stats.ts";
import { hear } from "./hear.ts";
import { type Changes, Table } from "./table.ts";

const PERIOD_MS = 2000;
/** Also where every event was heard: some changes have none. */
const LIST_MS = 30_000;

export interface Watcher {
  /** Something has changed; it reads the rows when it can take them. */
  mark(sampler: Sampler, changes: Changes): void;
}

export class Sampler extends Watched<Watcher> {
  readonly host: string;
  readonly table = new Table();
  /** Whether the list was read since somebody looks. */
  isRead = false;

  constructor(host: string) {
    super();
    this.host = host;
  }

  override stop() {
    super.stop();
    this.isRead = false;
    this.table.pause();
  }

  protected begin(signal: AbortSignal): Look {
    const ctx = createContext({ host: this.host, signal });
    const heard = { stale: true, live: false };
    void hear(ctx, ["domain"], (isLive) => {
      Object.assign(heard, { live: isLive, stale: true });
      this.wake();
    }).then(() => {
      heard.live = false;
    });
    return this.#look(ctx, heard);
  }

  protected tell() {
    this.#mark({ changed: [], gone: [] });
  }

  /** Where no events can be heard, every look reads the list. */
  #look(ctx: Context, heard: { stale: boolean; live: boolean }): Look {
    const { signal } = ctx;
    let [listed, measured] = [0, 0];
    return async () => {
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
      } catch (error) {
        heard.stale = true;
        throw error;
      }
      return PERIOD_MS - (performance.now() - measured);
    };
  }

  #told(signal: AbortSignal, changes: Changes, isList = false) {
    if (signal.aborted) return;
    const isNews = (isList && !this.isRead) || this.error !== null;
    if (isList) this.isRead = true;
    this.failure = null;
    if (isNews || changes.changed.length + changes.gone.length > 0) this.#mark(changes);
  }

  #mark(changes: Changes) {
    for (const watcher of this.watchers) watcher.mark(this, changes);
  }
}
