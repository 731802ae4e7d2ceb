/** The answer to a scrape, in Prometheus's text format. */
import { memoizePerObject } from "../core/memoize.ts";
import type { Context } from "../hypervisor/context.ts";
import { METRICS, type MetricName, type Sample } from "./names.ts";
import { ownMetrics } from "./own.ts";
import { hypervisorSamples } from "./scrape-host.ts";

/**
 * Without `?host=` this server's own metrics and those of the default hypervisor; with it the hypervisor's
 * alone. Domains of several may share a name, so in the answer for a list each sample has a label `host`.
 */
export async function metricsText(ctx: Context): Promise<string> {
  const { requestedHosts } = ctx;
  if (requestedHosts === undefined) {
    const [own, samples] = await Promise.all([ownMetrics(), hypervisorSamples(ctx)]);
    return `${own}\n${exposition(samples)}`;
  }
  if (typeof requestedHosts === "string") return exposition(await hypervisorSamples(ctx));
  const samples = requestedHosts.map(async (host) => {
    const own = await hypervisorSamples(ctx.forHost(host));
    return own.map((sample) => ({ ...sample, labels: { host, ...sample.labels } }));
  });
  return exposition((await Promise.all(samples)).flat());
}

/**
 * As prom-client writes it, without its registry, which takes three times as long for the samples of hundreds of
 * domains. Of a series that comes twice, the last sample counts.
 */
export function exposition(samples: Sample[]): string {
  const metrics = new Map<MetricName, Map<string, number>>();
  for (const { name, labels, value } of samples) {
    const series = metrics.get(name) ?? new Map<string, number>();
    metrics.set(name, series.set(seriesOf(labels), value));
  }
  const texts = [...metrics].map(([name, series]) => {
    const { type, help } = METRICS[name];
    const lines = [...series].map(([labels, value]) => `${name}${labels} ${value}`);
    return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...lines].join("\n");
  });
  return `${texts.join("\n\n")}\n`;
}

/** The labels of a domain's identity are the same objects in each scrape (domains.ts). */
const seriesOf = memoizePerObject((labels: Sample["labels"]) => {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${escaped(value)}"`);
  return pairs.length > 0 ? `{${pairs.join(",")}}` : "";
});

const ESCAPES: Record<string, string> = { "\\": "\\\\", "\n": "\\n", '"': '\\"' };
const escaped = (text: string) => text.replace(/[\\\n"]/g, (char) => ESCAPES[char] ?? char);
