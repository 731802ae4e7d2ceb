/** The jobs that have not ended, told whenever they are another or further: one look at the database serves all who watch. */
import { latest } from "../core/latest.ts";
import { type Look, Watched } from "../core/watched.ts";
import { databaseState } from "../store/state.ts";
import type { Job } from "./job.ts";
import { type Owner, queryJobs } from "./query.ts";
import { viewJob } from "./view.ts";

const LOOK_MS = 1000;
const MAX_JOBS = 200;
const NONE = { jobs: [], cursor: null };

/** A private PostgreSQL is not started for it: where it does not run, there are no jobs. */
async function read(owner: Owner | undefined) {
  const { kind, state } = databaseState();
  if (kind !== "server" && state !== "available") return NONE;
  const states = ["queued" as const, "running" as const, "cancelling" as const];
  return queryJobs({ states }, owner, { limit: MAX_JOBS });
}

class OpenJobs extends Watched<() => void> {
  /** Everybody's; undefined before the first look. */
  #jobs: Job[] | undefined;
  /** There are more than one look reads: then those of each owner are read too, once for all of theirs who watch. */
  #isPart = false;
  #own = new Map<string, Promise<Job[]>>();
  #text = "";

  override stop() {
    super.stop();
    this.#jobs = undefined;
    this.#text = "";
  }

  async of(owner: Owner | undefined): Promise<Job[] | undefined> {
    if (!owner || !this.#jobs) return this.#jobs;
    if (!this.#isPart) return this.#jobs.filter(({ submitter }) => isOf(submitter, owner));
    const key = JSON.stringify(owner);
    const known = this.#own.get(key) ?? read(owner).then(({ jobs }) => jobs);
    this.#own.set(key, known);
    return known;
  }

  protected begin(signal: AbortSignal): Look {
    return async () => {
      const { jobs, cursor } = await read(undefined);
      const text = JSON.stringify(jobs);
      if (signal.aborted) return LOOK_MS;
      this.#own.clear();
      this.#isPart = cursor !== null;
      this.#jobs = jobs;
      const isNews = text !== this.#text || this.#isPart || this.error !== null;
      this.#text = text;
      this.failure = null;
      if (isNews) this.tell();
      return LOOK_MS;
    };
  }

  protected tell() {
    for (const told of this.watchers) told();
  }
}

/** As PostgreSQL's `submitter @> owner`. */
const isOf = (submitter: Owner, owner: Owner) =>
  Object.entries(owner).every(([key, value]) => submitter[key as keyof Owner] === value);

const openJobs = new OpenJobs();

export function watchJobs(owner: Owner | undefined, signal: AbortSignal) {
  let told = "";
  const take = async () => {
    if (openJobs.failure) throw openJobs.failure;
    const found = await openJobs.of(owner);
    if (!found) return undefined;
    const jobs = found.map((job) => viewJob(job));
    const text = JSON.stringify(jobs);
    if (text === told) return undefined;
    told = text;
    return { jobs };
  };
  return latest([openJobs], take, signal, "jobs");
}
