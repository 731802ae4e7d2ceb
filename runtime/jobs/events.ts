/** What happens to jobs becomes events of the fleet, in whatever process on the same database it happens. */
import { setTimeout as sleep } from "node:timers/promises";
import { log } from "../core/log.ts";
import { publish, resync } from "../events/hub.ts";
import { listenTo } from "../store/listen.ts";
import { databaseState } from "../store/state.ts";
import { aliasOf } from "./host-key.ts";

const CHANNEL = "hypersdk_job_events";
/** How often a process looks whether it uses its database by now, and tries one again that is away. */
const LOOK_MS = 1000;

interface Change {
  id: string;
  state: string;
  function: string;
  host: string;
  attempt: number;
  /** Another attempt has begun, without a change of the state. */
  again: boolean;
  submitter: { kind: string; name: string; fingerprint?: string };
  /** Null where they are too many. */
  domains: string[] | null;
  time: string;
  code: string | null;
}

/** Hears them until it is closed. A private PostgreSQL is not started for it: where it does not run, there are no jobs. */
export class JobSource {
  live = false;
  #end = new AbortController();
  #settled = Promise.withResolvers<void>();

  constructor() {
    void this.#run();
  }

  get settled() {
    return this.#settled.promise;
  }

  close() {
    this.live = false;
    this.#end.abort();
    this.#settled.resolve();
  }

  async #run() {
    const { signal } = this.#end;
    while (!signal.aborted) {
      const { kind, state } = databaseState();
      if (kind === "server" || state === "available") {
        const stop = await listenTo(CHANNEL, (payload) => this.#hearSafely(payload)).catch(
          (cause) => {
            log.debug({ cause }, "jobs' events cannot be heard yet");
          },
        );
        this.#settled.resolve();
        if (stop) {
          if (!signal.aborted)
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
          return stop();
        }
      }
      this.#settled.resolve();
      await sleep(LOOK_MS, undefined, { signal, ref: false }).catch(() => {});
    }
  }

  #hearSafely(payload: string | undefined) {
    try {
      this.#hear(payload);
    } catch (error) {
      log.warn({ error, payload }, "an event of a job cannot be read");
    }
  }

  #hear(payload: string | undefined) {
    if (this.#end.signal.aborted) return;
    if (payload === undefined) {
      this.live = true;
      publish(resync(null, ["job"], "the events of jobs are heard from now on"));
      return;
    }
    const change = JSON.parse(payload) as Change;
    const { id, state, host, submitter, domains, code } = change;
    publish({
      kind: "job",
      time: new Date(change.time).toISOString(),
      host: aliasOf(host),
      object: id,
      event: change.again ? "taken over" : state,
      detail: `${change.function}, attempt ${change.attempt}`,
      function: change.function,
      domains: domains ?? [],
      who: submitter,
      ...(code !== null && { code }),
    });
  }
}
