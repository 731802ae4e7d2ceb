/** The samples of a hypervisor's domains. */
import { chunks } from "../core/chunks.ts";
import { HyperError } from "../core/errors.ts";
import { memoizePerObject } from "../core/memoize.ts";
import { readHeads } from "../libvirt/definition-heads.ts";
import type { Definition } from "../libvirt/definition-memory.ts";
import { readChanged } from "../libvirt/definitions.ts";
import {
  domstats,
  parseDomstats,
  type Stats,
  type StatsTarget,
} from "../libvirt/stats/domstats.ts";
import { parseXml } from "../libvirt/xml.ts";
import { deviceSamples, identitySamples } from "./domain-info.ts";
import { jobSamples } from "./jobs.ts";
import type { Sample } from "./names.ts";
import { optional, type Scrape } from "./scrape.ts";
import { cpuSamples, statisticsSamples } from "./statistics.ts";

/** A domain without an ID is off. */
export type Domain = StatsTarget & { uuid: string };

const GROUPS = ["--cpu-total", "--vcpu", "--balloon", "--block"];
/** libvirtd knows these by itself. For the disks of a domain that is off it would open their images. */
export const GROUPS_OFF = ["--vcpu", "--balloon"];

/** For running domains. A domain whose statistics are late has `libvirt_domain_timed_out` 1. */
export async function runningSamples(scrape: Scrape, domains: Domain[]): Promise<Sample[]> {
  const { ctx, inTime } = scrape;
  const pending = domstats(ctx, domains, GROUPS);
  const jobs = pending.then((stats) => {
    const well = domains.filter(({ name }) => stats.get(name)?.stuck === undefined);
    return jobSamples(scrape, well);
  });
  const [stats, definitions, jobMetrics] = await Promise.all([
    inTime(pending.catch(unlessLate)),
    optional(scrape, "definitions", readDomains(scrape, domains)),
    optional(scrape, "jobs", jobs),
  ]);
  const samples = domains.flatMap(({ name }) => {
    const own = stats?.get(name);
    if (stats && !own) return []; // the domain has gone meanwhile
    const timed_out = !own || own.stuck ? 1 : 0;
    const { definition, vcpuinfo } = definitions?.get(name) ?? {};
    return [
      { name: "libvirt_domain_timed_out" as const, labels: { domain: name }, value: timed_out },
      ...(own ? statisticsSamples(name, own.fields) : []),
      ...(definition ? identityOf(definition) : []),
      ...(definition ? deviceSamples(elementOf(definition), pathsOf(own)) : []),
      ...cpuSamples(name, vcpuinfo ?? ""),
    ];
  });
  return [...samples, ...(jobMetrics ?? [])];
}

/** `domstats`: the text for all domains that are off. */
export async function offSamples(
  scrape: Scrape,
  domains: Domain[],
  domstats: Promise<string>,
): Promise<Sample[]> {
  const heads = scrape.definitionFiles().then((files) => readHeads(scrape.ctx, domains, files));
  const [text, definitions] = await Promise.all([
    scrape.inTime(domstats.catch(unlessLate)),
    optional(scrape, "definitions", heads),
  ]);
  const names = domains.map(({ name }) => name);
  const stats = text === undefined ? undefined : parseDomstats(text, names);
  return domains.flatMap(({ name }, i) => {
    const own = stats?.get(name);
    const definition = definitions?.[i];
    if (!own || !definition || definition instanceof HyperError) return [];
    return [...statisticsSamples(name, own.fields), ...identityOf(definition)];
  });
}

/** Late statistics do not make the hypervisor down. */
function unlessLate(error: unknown): undefined {
  if (error instanceof HyperError && /^(timed_out|busy)$/.test(error.code)) return undefined;
  throw error;
}

interface Read {
  definition: Definition;
  vcpuinfo: string | undefined;
}

/** The commands that a session runs in one round trip. */
const DOMAINS_PER_FRAME = 16;

const elementOf = memoizePerObject(({ text }: Definition) => parseXml(text, "domain"));
const identityOf = memoizePerObject(({ text }: Definition) =>
  identitySamples(parseXml(text, "domain")),
);

/** For running domains, with each scrape: media, bridges and limits can change. */
async function readDomains({ ctx, limit, definitionFiles }: Scrape, domains: Domain[]) {
  const found = new Map<string, Read>();
  await limit.map(chunks(domains, DOMAINS_PER_FRAME), async (frame) => {
    const uuids = frame.map(({ uuid }) => uuid);
    const definitions = await readChanged(ctx, uuids, undefined, definitionFiles());
    const vcpuinfo = await ctx.virsh.settled(frame.map(({ ref }) => ["vcpuinfo", "--domain", ref]));
    frame.forEach(({ name }, i) => {
      const definition = definitions[i];
      if (!definition || definition instanceof HyperError) return; // it has gone meanwhile, or is stuck
      const cpus = vcpuinfo[i];
      found.set(name, { definition, vcpuinfo: typeof cpus === "string" ? cpus : undefined });
    });
  });
  return found;
}

/** The paths of the disks' images, by target. */
function pathsOf(stats: Stats | undefined): Map<string, string> {
  const fields = stats?.fields ?? {};
  const count = Number(fields["block.count"] ?? 0);
  const disks = Array.from({ length: count }, (_, i) => `block.${i}`);
  return new Map(disks.map((disk) => [`${fields[`${disk}.name`]}`, fields[`${disk}.path`] ?? ""]));
}
