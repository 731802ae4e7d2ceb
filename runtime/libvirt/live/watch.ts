/** Domains as they change, for one who watches: what waits is one row a domain, so it is bounded, and the latest counts. */
import type { EventSource, StreamEvent } from "../../core/stream.ts";
import type { Sampler, Watcher } from "./sampler.ts";
import { samplerOf } from "./samplers.ts";
import type { LiveDomain, LiveEvent } from "./shapes.ts";
import type { Changes } from "./table.ts";

interface Pending {
  changed: Set<string>;
  gone: Set<string>;
}

const nothing = (): Pending => ({ changed: new Set(), gone: new Set() });

class Watch implements Watcher, EventSource<LiveEvent> {
  #samplers: Sampler[];
  #sees: (host: string, name: string) => boolean;
  #pending = new Map<Sampler, Pending>();
  /** Samplers whose whole list was not told yet. */
  #owing: Set<Sampler>;
  #isOver = false;
  #wake: (() => void) | undefined;

  constructor(hosts: string[], sees: (host: string, name: string) => boolean) {
    this.#sees = sees;
    this.#samplers = hosts.map(samplerOf);
    this.#owing = new Set(this.#samplers);
    try {
      for (const sampler of this.#samplers) {
        this.#pending.set(sampler, nothing());
        sampler.join(this);
      }
    } catch (error) {
      void this.return();
      throw error;
    }
  }

  mark(sampler: Sampler, { changed, gone }: Changes) {
    const pending = this.#pending.get(sampler) ?? nothing();
    this.#pending.set(sampler, pending);
    for (const name of changed) {
      pending.changed.add(name);
      pending.gone.delete(name);
    }
    for (const name of gone) {
      pending.gone.add(name);
      pending.changed.delete(name);
    }
    this.#wake?.();
  }

  async next(): Promise<IteratorResult<StreamEvent<LiveEvent>, undefined>> {
    for (;;) {
      if (this.#isOver) return { done: true, value: undefined };
      const value = this.#take();
      if (value) return { done: false, value: { event: "domains", data: value } };
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = undefined;
    }
  }

  async return(): Promise<IteratorResult<StreamEvent<LiveEvent>, undefined>> {
    if (!this.#isOver) for (const sampler of this.#samplers) sampler.leave(this);
    this.#isOver = true;
    this.#wake?.();
    return { done: true, value: undefined };
  }

  /** One hypervisor's news. Before its list was read there is none, unless it cannot be read. */
  #take(): LiveEvent | undefined {
    for (const [sampler, { changed, gone }] of this.#pending) {
      const { table, host, error, isRead } = sampler;
      if (!isRead && error === null) continue;
      this.#pending.delete(sampler);
      const whole = isRead && this.#owing.delete(sampler);
      const rows = whole
        ? [...table.rows.values()]
        : [...changed].flatMap((name) => table.rows.get(name) ?? []);
      const domains = rows.filter(({ name }: LiveDomain) => this.#sees(host, name));
      const left = whole ? [] : [...gone].filter((name) => this.#sees(host, name));
      const isWord = changed.size + gone.size === 0; // that it can be read again, or cannot
      if (whole || isWord || domains.length + left.length > 0)
        return { host, whole, domains, gone: left, error };
    }
    return undefined;
  }
}

/** Ends with the signal, or when the loop over it ends. */
export function watchDomains(
  hosts: string[],
  sees: (host: string, name: string) => boolean,
  signal: AbortSignal,
) {
  const watch = new Watch(hosts, sees);
  const end = () => void watch.return();
  signal.addEventListener("abort", end, { once: true });
  if (signal.aborted) end();
  return { [Symbol.asyncIterator]: () => watch };
}
