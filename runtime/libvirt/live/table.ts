/** The domains of one hypervisor as they were last seen, with the measurements of the last hour. */
import type * as z from "zod";
import type { ListedDomain } from "../domain/list.ts";
import type { DomainStats } from "../stats/stats.ts";
import { type Counters, countersOf, measure, UNMEASURED } from "./rates.ts";
import { Series, STEPS, stepOf } from "./series.ts";
import type { LiveDomain } from "./shapes.ts";

/** What differs from before, by name. */
export interface Changes {
  changed: string[];
  gone: string[];
}

const OFF = ["shut off", "crashed"];

export class Table {
  readonly rows = new Map<string, LiveDomain>();
  #series = new Map<string, Series>();
  #counters = new Map<string, Counters>();

  /** Takes the list of all domains. */
  list(domains: z.output<typeof ListedDomain>[]): Changes {
    const names = new Set(domains.map(({ name }) => name));
    const gone = [...this.rows.keys()].filter((name) => !names.has(name));
    for (const name of gone) {
      this.#forget(name);
      this.rows.delete(name);
    }
    const changed = domains.filter((domain) => {
      const before = this.rows.get(domain.name);
      const isSame = before?.uuid === domain.uuid;
      if (!isSame) this.#forget(domain.name);
      const isOff = OFF.includes(domain.state);
      if (isOff) this.#counters.delete(domain.name);
      return this.#put({ ...(isSame && !isOff ? before : UNMEASURED), ...domain });
    });
    return { changed: changed.map(({ name }) => name), gone };
  }

  /** Takes the statistics of all running domains. One that is not listed yet waits for the next list. */
  measure(all: z.output<typeof DomainStats>[], now = { at: performance.now(), ms: Date.now() }) {
    return all.flatMap((stats) => {
      const { name, state } = stats;
      const row = this.rows.get(name);
      if (!row) return [];
      const counters = countersOf(stats, now.at);
      const measured = measure(stats, counters, this.#counters.get(name));
      this.#counters.set(name, counters);
      const series = this.#series.get(name) ?? new Series();
      this.#series.set(name, series);
      series.add(measured, now.ms);
      return this.#put({ ...row, state, ...measured }) ? [name] : [];
    });
  }

  /** Domains that have run within the hour have one. */
  seriesOf(name: string): Series | undefined {
    return this.#series.get(name);
  }

  /** Drops what is older than an hour. True when nothing is left. */
  expire(ms = Date.now()): boolean {
    for (const [name, { last }] of this.#series)
      if (last <= stepOf(ms) - STEPS) this.#series.delete(name);
    return this.#series.size === 0;
  }

  /** Counters of a time when nobody looked say nothing about now. */
  pause() {
    this.#counters.clear();
  }

  #forget(name: string) {
    this.#series.delete(name);
    this.#counters.delete(name);
  }

  #put(row: LiveDomain): boolean {
    const before = this.rows.get(row.name);
    const keys = Object.keys(row) as (keyof LiveDomain)[];
    if (before && keys.every((key) => before[key] === row[key])) return false;
    this.rows.set(row.name, row);
    return true;
  }
}
