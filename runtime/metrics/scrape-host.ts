/** All samples of one hypervisor, in bounded time. A part that is late is left out, with a metric that says so. */
import { chunks } from "../core/chunks.ts";
import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { domstatsOff } from "../libvirt/stats/domstats.ts";
import { keyValues, lines } from "../libvirt/virsh-output.ts";
import { type Domain, GROUPS_OFF, offSamples, runningSamples } from "./domains.ts";
import type { Sample } from "./names.ts";
import { beginScrape, optional, type Scrape } from "./scrape.ts";
import { poolSamples } from "./storage-pools.ts";

/**
 * A hypervisor that does not list its domains within `reach` is down; all other samples have `rest`. Prometheus
 * waits for 10 seconds by default.
 */
const TIMEOUTS_MS = { reach: 5000, rest: 4000 };
/** Domains whose statistics arrive together, or are late together. */
const DOMAINS_PER_PART = 50;

/** Never fails: `libvirt_up` says whether the hypervisor answered. */
export async function hypervisorSamples(ctx: Context, timeouts = TIMEOUTS_MS): Promise<Sample[]> {
  // this needs no list of the domains, and takes as long
  const early = beginScrape(ctx, timeouts.reach + timeouts.rest);
  const offStats = domstatsOff(early.ctx, GROUPS_OFF);
  offStats.catch(() => {}); // where the list fails, or all domains run
  try {
    const domains = await listDomains(ctx, timeouts.reach);
    return [
      { name: "libvirt_up", labels: {}, value: 1 },
      { name: "libvirt_domains", labels: {}, value: domains.length },
      ...(await allSamples(ctx, domains, offStats, timeouts.rest)),
    ];
  } catch (error) {
    ctx.log.warn({ host: ctx.host, cause: error }, "metrics: the hypervisor does not answer");
    return [{ name: "libvirt_up", labels: {}, value: 0 }];
  } finally {
    early.end();
  }
}

async function allSamples(
  ctx: Context,
  domains: Domain[],
  offStats: Promise<string>,
  timeoutMs: number,
) {
  const scrape = beginScrape(ctx, timeoutMs);
  try {
    const running = domains.filter(({ id }) => id);
    const off = domains.filter(({ id }) => !id);
    const parts = await Promise.all([
      ...chunks(running, DOMAINS_PER_PART).map((part) => runningSamples(scrape, part)),
      ...(off.length > 0 ? [offSamples(scrape, off, offStats)] : []),
      optional(scrape, "storage pools", poolSamples(scrape.ctx)),
      optional(scrape, "versions", versionSamples(scrape)),
    ]);
    return parts.flatMap((part) => part ?? []);
  } finally {
    scrape.end();
  }
}

async function listDomains(callerContext: Context, timeoutMs: number): Promise<Domain[]> {
  const { ctx, inTime, end } = beginScrape(callerContext, timeoutMs);
  const list = ctx.virsh(["list", "--all", "--uuid", "--id", "--name"]);
  const text = await inTime(list).finally(end);
  if (text === undefined) {
    throw new HyperError("timed_out", `no answer within ${timeoutMs / 1000} s`);
  }
  return lines(text).map((row) => {
    const [, uuid = "", id = "", name = ""] = row.match(/^(\S+) (\S+) (.*)$/s) ?? [];
    // virsh finds an ID in half the time of a UUID
    return id === "-" ? { name, uuid, ref: uuid } : { name, uuid, ref: id, id };
  });
}

async function versionSamples({ ctx }: Scrape): Promise<Sample[]> {
  const versions = keyValues(await ctx.virsh(["version", "--daemon"]));
  const number = (key: string) => versions[key]?.replace(/^\S+ /, "") ?? ""; // "QEMU 7.2.22"
  const labels = {
    hypervisor_running: number("Running hypervisor"),
    libvirtd_running: number("Running against daemon"),
    libvirt_library: number("Using library"),
  };
  return [{ name: "libvirt_versions_info", labels, value: 1 }];
}
