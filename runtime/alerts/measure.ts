/** Measures what a condition is about, on each hypervisor, for all of its rules together. */
import { toHyperError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";
import { type Context, createContext } from "../hypervisor/context.ts";
import { reach } from "../libvirt/host.ts";
import { crashedDomains, pausedDomains } from "./measure-domains.ts";
import { failedJobs, missedSchedules } from "./measure-jobs.ts";
import { cpuUsage, memoryUsage, storageUsage } from "./measure-usage.ts";
import type { Measured, Reading } from "./reading.ts";
import type { Condition, Rule } from "./rule.ts";

/** A hypervisor that does not answer by then is not known, and the others are judged. */
const MEASURE_TIMEOUT_MS = 10_000;

const ON_HOST: Partial<Record<Condition, (ctx: Context) => Promise<Reading[]>>> = {
  domain_crashed: crashedDomains,
  domain_paused_io: pausedDomains,
  host_unreachable: reachable,
  storage_usage: storageUsage,
  cpu_usage: cpuUsage,
  memory_usage: memoryUsage,
};

async function reachable(ctx: Context): Promise<Reading[]> {
  const { reachable, error } = await reach(ctx);
  const detail = reachable ? "" : `cannot be reached: ${error}`;
  return [{ host: ctx.host, object: "", value: Number(!reachable), detail }];
}

/** What is measured once for several rules, while they are evaluated together. */
export type Known = Map<string, Promise<Reading[]>>;

/** Throws `function_unavailable` where the database is away. */
export async function measure(rule: Rule, known: Known): Promise<Measured> {
  const { condition, hosts } = rule;
  const complete = Object.keys(settings().hosts);
  if (condition === "failed_jobs") {
    return { readings: await failedJobs(rule), complete: ["", ...complete], errors: [] };
  }
  if (condition === "schedule_missed") {
    return { readings: await missedSchedules(), complete: ["", ...complete], errors: [] };
  }
  const aliases = complete.filter((alias) => hosts.length === 0 || hosts.includes(alias));
  const measured: Measured = { readings: [], complete: [], errors: [] };
  await Promise.all(
    aliases.map(async (host) => {
      try {
        measured.readings.push(...(await once(known, condition, host)));
        measured.complete.push(host);
      } catch (error) {
        measured.errors.push(`${host}: ${toHyperError(error).message}`);
      }
    }),
  );
  return measured;
}

function once(known: Known, condition: Condition, host: string): Promise<Reading[]> {
  const key = `${condition} ${host}`;
  const read = ON_HOST[condition] as (ctx: Context) => Promise<Reading[]>;
  const reading =
    known.get(key) ??
    read(createContext({ host, signal: AbortSignal.timeout(MEASURE_TIMEOUT_MS) }));
  known.set(key, reading);
  return reading;
}
