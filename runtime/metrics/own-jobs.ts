/** Metrics of jobs: how many there are in the database, and those that this process has worked on. */
import { Counter, Gauge, Histogram } from "prom-client";
import { log } from "../core/log.ts";
import { observer } from "../events/bus.ts";
import { countJobs } from "../jobs/counts.ts";
import { registers, SECONDS_BUCKETS } from "./registry.ts";

/** Jobs may take hours. */
const buckets = [...SECONDS_BUCKETS, 3600, 14_400];

new Gauge({
  name: "hypersdk_jobs",
  help: "Jobs that have not ended, of all servers on the database; absent while no database is in use.",
  labelNames: ["state"],
  registers,
  async collect() {
    this.reset();
    const counts = await countJobs().catch((error) => {
      log.warn({ error }, "the jobs could not be counted");
      return undefined;
    });
    if (!counts) return;
    for (const state of ["queued", "running", "cancelling"] as const) {
      this.set({ state }, counts[state]);
    }
  },
});
const ended = new Counter({
  name: "hypersdk_jobs_ended_total",
  help: "Jobs that have ended here, by function and result.",
  labelNames: ["function", "result"],
  registers,
});
const waited = new Histogram({
  name: "hypersdk_job_wait_seconds",
  help: "Time from the submission of a job to its begin.",
  labelNames: ["function"],
  buckets,
  registers,
});
const worked = new Histogram({
  name: "hypersdk_job_duration_seconds",
  help: "Time from the begin of a job to its end.",
  labelNames: ["function"],
  buckets,
  registers,
});

observer.job = ({ path, state, waited_ms, worked_ms }) => {
  ended.inc({ function: path, result: state });
  waited.observe({ function: path }, waited_ms / 1000);
  worked.observe({ function: path }, worked_ms / 1000);
};
