/** The answer to a scrape, in Prometheus's text format. */
import { Counter, Gauge, Registry } from "prom-client";
import type { Context } from "../hypervisor/context.ts";
import { METRICS, type MetricName, type Sample } from "./names.ts";
import { ownMetrics } from "./own.ts";
import { hypervisorSamples } from "./scrape-host.ts";

export const MEDIA = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * Without `?host=` this server's own metrics and those of the default hypervisor; with it the hypervisor's
 * alone. Domains of several may share a name, so in the answer for a list each sample has a label `host`.
 */
export async function metricsText(ctx: Context): Promise<string> {
  const { requestedHosts } = ctx;
  if (requestedHosts === undefined) {
    const [own, samples] = await Promise.all([ownMetrics(), hypervisorSamples(ctx)]);
    return `${own}\n${await exposition(samples)}`;
  }
  if (typeof requestedHosts === "string") return exposition(await hypervisorSamples(ctx));
  const samples = requestedHosts.map(async (host) => {
    const own = await hypervisorSamples(ctx.forHost(host));
    return own.map((sample) => ({ ...sample, labels: { host, ...sample.labels } }));
  });
  return exposition((await Promise.all(samples)).flat());
}

export async function exposition(samples: Sample[]): Promise<string> {
  const registry = new Registry();
  const metrics = new Map<MetricName, Counter | Gauge>();
  for (const { name, labels, value } of samples) {
    const metric = metrics.get(name) ?? make(name, registry);
    metrics.set(name, metric);
    if (metric instanceof Counter) metric.inc(labels, value);
    else metric.set(labels, value);
  }
  return registry.metrics();
}

function make(name: MetricName, registry: Registry): Counter | Gauge {
  const { type, labels, help } = METRICS[name];
  const config = { name, help, labelNames: ["host", ...labels], registers: [registry] };
  return type === "counter" ? new Counter(config) : new Gauge(config);
}
