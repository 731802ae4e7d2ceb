/** The samples of a hypervisor's domains. */

import { HyperError } from "../core/errors.ts";
import { chunks, domstats, type Stats, type Target } from "../libvirt/stats/domstats.ts";
import { type Element, parseXml } from "../libvirt/xml.ts";
import { deviceSamples, identitySamples } from "./domain-info.ts";
import { jobSamples } from "./jobs.ts";
import type { Sample } from "./names.ts";
import { optional, type Scrape } from "./scrape.ts";
import { cpuSamples, statisticsSamples } from "./statistics.ts";

/** One without an ID is off. */
export type Domain = Target;

const GROUPS = ["--cpu-total", "--vcpu", "--balloon", "--block"];
/** Of one that is off libvirtd knows these by itself; to tell its disks it would open their images. */
const GROUPS_OFF = ["--vcpu", "--balloon"];

/** Of domains that run. Those whose statistics are late have `libvirt_domain_timed_out` 1. */
export async function runningSamples(scrape: Scrape, domains: Domain[]): Promise<Sample[]> {
  const { ctx, intime } = scrape;
  const asked = domstats(ctx, domains, GROUPS);
  const jobs = asked.then((stats) => {
    const well = domains.filter(({ name }) => stats.get(name)?.stuck === undefined);
    return jobSamples(scrape, well);
  });
  const [stats, read, running] = await Promise.all([
    intime(asked.catch(unlessLate)),
    optional(scrape, "definitions", readDefinitions(scrape, domains)),
    optional(scrape, "jobs", jobs),
  ]);
  const each = domains.flatMap(({ name }) => {
    const found = stats?.get(name);
    if (stats && !found) return []; // it has gone meanwhile
    const timed_out = !found || found.stuck ? 1 : 0;
    const { definition, vcpuinfo } = read?.get(name) ?? {};
    return [
      { name: "libvirt_domain_timed_out" as const, labels: { domain: name }, value: timed_out },
      ...(found ? statisticsSamples(name, found.fields) : []),
      ...(definition ? identitySamples(definition) : []),
      ...(definition ? deviceSamples(definition, pathsOf(found)) : []),
      ...cpuSamples(name, vcpuinfo ?? ""),
    ];
  });
  return [...each, ...(running ?? [])];
}

export async function offSamples(scrape: Scrape, domains: Domain[]): Promise<Sample[]> {
  const { ctx, intime } = scrape;
  const [stats, read] = await Promise.all([
    intime(domstats(ctx, domains, GROUPS_OFF).catch(unlessLate)),
    optional(scrape, "definitions", readDefinitions(scrape, domains)),
  ]);
  return domains.flatMap(({ name }) => {
    const found = stats?.get(name);
    const { definition } = read?.get(name) ?? {};
    if (!found || !definition) return [];
    return [...statisticsSamples(name, found.fields), ...identitySamples(definition)];
  });
}

/** It is up then, only slow. */
function unlessLate(error: unknown): undefined {
  if (error instanceof HyperError && /^(timed_out|busy)$/.test(error.code)) return undefined;
  throw error;
}

interface Read {
  definition: Element;
  vcpuinfo: string | undefined;
}

/** Domains whose definitions come in one round trip, with `vcpuinfo`: virsh takes 16 commands together. */
const FRAME = 8;

/** Anew each time: media, bridges and limits of a running domain can change. */
async function readDefinitions({ ctx, turns }: Scrape, domains: Domain[]) {
  const found = new Map<string, Read>();
  await turns.map(chunks(domains, FRAME), async (some) => {
    const running = some.filter(({ id }) => id);
    const said = await ctx.virsh.settled([
      ...some.map(({ ref }) => ["dumpxml", "--domain", ref]),
      ...running.map(({ ref }) => ["vcpuinfo", "--domain", ref]),
    ]);
    const text = (i: number) => (typeof said[i] === "string" ? said[i] : undefined);
    some.forEach((domain, i) => {
      const xml = text(i);
      if (!xml) return; // it has gone meanwhile
      const vcpuinfo = domain.id ? text(some.length + running.indexOf(domain)) : undefined;
      found.set(domain.name, { definition: parseXml(xml, "domain"), vcpuinfo });
    });
  });
  return found;
}

/** Of the disks' images, by target. */
function pathsOf(stats: Stats | undefined): Map<string, string> {
  const fields = stats?.fields ?? {};
  const count = Number(fields["block.count"] ?? 0);
  const disks = Array.from({ length: count }, (_, i) => `block.${i}`);
  return new Map(disks.map((disk) => [`${fields[`${disk}.name`]}`, fields[`${disk}.path`] ?? ""]));
}
