/** This server's own metrics. What happened before this file is loaded has been noted in early.ts. */
import { Counter, Gauge, Histogram } from "prom-client";
import { version } from "../core/version.ts";
import { observer } from "../events/bus.ts";
import { openHypervisors } from "../hypervisor/registry.ts";
import "./own-jobs.ts";
import { registers, registry, SECONDS_BUCKETS } from "./registry.ts";

const requests = new Counter({
  name: "hypersdk_requests_total",
  help: "Requests answered, by function and HTTP status.",
  labelNames: ["function", "status"],
  registers,
});
const requestSeconds = new Histogram({
  name: "hypersdk_request_duration_seconds",
  help: "Time from a request to its answer.",
  labelNames: ["function"],
  buckets: SECONDS_BUCKETS,
  registers,
});
const commands = new Counter({
  name: "hypersdk_virsh_commands_total",
  help: "virsh commands run; a lane's sessions are its own, and process is virsh in a process of its own.",
  labelNames: ["host", "lane", "result"],
  registers,
});
const roundTrips = new Histogram({
  name: "hypersdk_virsh_duration_seconds",
  help: "Time of a round trip to virsh with one or more commands, with the wait for a session.",
  labelNames: ["host", "lane"],
  buckets: SECONDS_BUCKETS,
  registers,
});
const connections = new Counter({
  name: "hypersdk_ssh_connections_total",
  help: "SSH connections made, and attempts that failed.",
  labelNames: ["host", "result"],
  registers,
});

observer.request = (path = "none", status, ms) => {
  requests.inc({ function: path, status });
  requestSeconds.observe({ function: path }, ms / 1000);
};
observer.virsh = ({ host, lane, commands: sent, succeeded, ms }) => {
  if (succeeded > 0) commands.inc({ host, lane, result: "success" }, succeeded);
  if (succeeded < sent) commands.inc({ host, lane, result: "error" }, sent - succeeded);
  roundTrips.observe({ host, lane }, ms / 1000);
};
observer.connection = (host, made) => connections.inc({ host, result: made ? "success" : "error" });

new Gauge({
  name: "hypersdk_virsh_sessions",
  help: "Warm virsh sessions.",
  labelNames: ["host", "lane", "state"],
  registers,
  collect() {
    this.reset();
    for (const { alias, sessions } of openHypervisors()) {
      for (const { lane, busy, idle } of sessions) {
        this.set({ host: alias, lane, state: "busy" }, busy);
        this.set({ host: alias, lane, state: "idle" }, idle);
      }
    }
  },
});
new Gauge({
  name: "hypersdk_virsh_waiting",
  help: "Calls that wait for a virsh session.",
  labelNames: ["host", "lane"],
  registers,
  collect() {
    this.reset();
    for (const { alias, sessions } of openHypervisors()) {
      for (const { lane, waiting } of sessions) this.set({ host: alias, lane }, waiting);
    }
  },
});
new Gauge({
  name: "hypersdk_ssh_connected",
  help: "Whether there is an SSH connection to the hypervisor now.",
  labelNames: ["host"],
  registers,
  collect() {
    this.reset();
    for (const { alias, connected } of openHypervisors()) {
      if (connected !== undefined) this.set({ host: alias }, connected ? 1 : 0);
    }
  },
});
new Gauge({
  name: "hypersdk_build_info",
  help: "This server's version; always 1.",
  labelNames: ["version"],
  registers,
}).set({ version }, 1);
new Gauge({
  name: "process_start_time_seconds",
  help: "When this server was started.",
  registers,
}).set(Math.round(Date.now() / 1000 - process.uptime()));
new Counter({
  name: "process_cpu_seconds_total",
  help: "CPU time of this server.",
  registers,
  collect() {
    const { user, system } = process.cpuUsage();
    this.reset();
    this.inc((user + system) / 1e6);
  },
});
new Gauge({
  name: "process_resident_memory_bytes",
  help: "Memory of this server.",
  registers,
  collect() {
    this.set(process.memoryUsage.rss());
  },
});

export const ownMetrics = (): Promise<string> => registry.metrics();
