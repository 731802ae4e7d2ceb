/** A process that works on jobs and serves nothing: `hypersdk worker`. */
import { setTimeout as sleep } from "node:timers/promises";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { openSettings, settings } from "../core/settings.ts";
import { observer } from "../events/bus.ts";
import { loadFunctions } from "../function/load.ts";
import { openAudit } from "../http/audit.ts";
import { followKeptHosts } from "../hypervisor/kept-hosts.ts";
import { endOnSignals } from "./shutdown.ts";
import { startWorker } from "./worker.ts";

const RETRY_MS = 2000;

/** Works until a signal ends the process. Throws where there can be no database. */
export async function work() {
  await openSettings();
  openAudit();
  observer.submitted = () => {}; // it works already, which the registry of workers is to know
  endOnSignals();
  const functions = await loadFunctions();
  for (const { path, error } of functions) {
    if (error) log.error({ path, error }, `${path} did not load: its jobs fail here`);
  }
  await followKeptHosts();
  const { name } = await begin();
  const { hosts, jobs } = settings();
  const aliases = Object.keys(hosts).join(", ");
  log.info(`${name}: up to ${jobs.concurrency} jobs at once, of the hypervisors ${aliases}`);
}

/** A server that `[database] url` names may be away for a while; the private one is there or cannot be. */
async function begin() {
  for (let tries = 1; ; tries++) {
    try {
      return await startWorker();
    } catch (error) {
      const isAway = error instanceof HyperError && error.code === "function_unavailable";
      if (!isAway || !settings().database.url) throw error;
      const { message } = error;
      if (tries === 1)
        log.warn({ cause: error }, `the worker tries until it can begin: ${message}`);
      await sleep(RETRY_MS);
    }
  }
}
