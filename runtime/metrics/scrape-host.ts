/** All samples of one hypervisor, in bounded time: what has not come until then is left out, and says so. */

import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { chunks } from "../libvirt/stats/domstats.ts";
import { keyValues, lines } from "../libvirt/virsh-output.ts";
import { type Domain, offSamples, runningSamples } from "./domains.ts";
import type { Sample } from "./names.ts";
import { beginScrape, optional, type Scrape } from "./scrape.ts";
import { poolSamples } from "./storage-pools.ts";

/**
 * Milliseconds until one that says nothing is down, and for all that it says then. Prometheus itself waits
 * for 10 seconds unless told otherwise.
 */
const PATIENCE = { reach: 5000, rest: 4000 };
/** Domains whose statistics come together, or late together. */
const TOGETHER = 50;

/** Never fails: `libvirt_up` says whether the hypervisor answered. */
export async function hypervisorSamples(given: Context, patience = PATIENCE): Promise<Sample[]> {
  try {
    const domains = await list(given, patience.reach);
    return [
      { name: "libvirt_up", labels: {}, value: 1 },
      { name: "libvirt_domains", labels: {}, value: domains.length },
      ...(await allSamples(given, domains, patience.rest)),
    ];
  } catch (error) {
    given.log.warn({ host: given.host, cause: error }, "metrics: the hypervisor does not answer");
    return [{ name: "libvirt_up", labels: {}, value: 0 }];
  }
}

async function allSamples(given: Context, domains: Domain[], patience: number) {
  const scrape = beginScrape(given, patience);
  try {
    const running = domains.filter(({ id }) => id);
    const off = domains.filter(({ id }) => !id);
    const parts = await Promise.all([
      ...chunks(running, TOGETHER).map((some) => runningSamples(scrape, some)),
      ...chunks(off, TOGETHER).map((some) => offSamples(scrape, some)),
      optional(scrape, "storage pools", poolSamples(scrape.ctx)),
      optional(scrape, "versions", versionSamples(scrape)),
    ]);
    return parts.flatMap((part) => part ?? []);
  } finally {
    scrape.end();
  }
}

async function list(given: Context, patience: number): Promise<Domain[]> {
  const { ctx, intime, end } = beginScrape(given, patience);
  const asked = ctx.virsh(["list", "--all", "--uuid", "--id", "--name"]);
  const text = await intime(asked).finally(end);
  if (text === undefined) {
    throw new HyperError("timed_out", `no answer within ${patience / 1000} s`);
  }
  return lines(text).map((row) => {
    const [, uuid = "", id = "", name = ""] = row.match(/^(\S+) (\S+) (.*)$/s) ?? [];
    // virsh takes an ID in half the time of a UUID
    return id === "-" ? { name, ref: uuid } : { name, ref: id, id };
  });
}

async function versionSamples({ ctx }: Scrape): Promise<Sample[]> {
  const said = keyValues(await ctx.virsh(["version", "--daemon"]));
  const number = (key: string) => said[key]?.replace(/^\S+ /, "") ?? ""; // "QEMU 7.2.22"
  const labels = {
    hypervisor_running: number("Running hypervisor"),
    libvirtd_running: number("Running against daemon"),
    libvirt_library: number("Using library"),
  };
  return [{ name: "libvirt_versions_info", labels, value: 1 }];
}
