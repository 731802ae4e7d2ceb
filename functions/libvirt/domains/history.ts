/** GET /libvirt/domains/history: what domains did in the last hour, as far as somebody watched them. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { knownSampler } from "#runtime/libvirt/live/samplers.ts";
import { STEP_SECONDS, STEPS, stepOf } from "#runtime/libvirt/live/series.ts";
import { METRICS } from "#runtime/libvirt/live/shapes.ts";
import { DomainName, NameOfDomain } from "#runtime/libvirt/names.ts";

const values = z.array(z.number().nullable()).optional();

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show what watched domains did in the last hour",
  input: z.strictObject({
    name: z
      .array(DomainName)
      .min(1)
      .max(200)
      .meta({ "x-libvirt": "domain", description: "names of domains" }),
    metric: z.array(z.enum(METRICS)).max(METRICS.length).optional().describe("unless given: all"),
    steps: z.int().min(1).max(STEPS).default(STEPS).describe(`of ${STEP_SECONDS} s each`),
  }),
  output: z.object({
    last: z.iso.datetime().describe("when the last step began"),
    step_seconds: z.int(),
    domains: z
      .array(
        z.object({
          name: NameOfDomain,
          ...(Object.fromEntries(METRICS.map((metric) => [metric, values])) as Record<
            (typeof METRICS)[number],
            typeof values
          >),
        }),
      )
      .describe("one value a step, the oldest first; null where nobody watched, or none is known"),
  }),
  message: "What nobody watched is null",
  examples: [{ name: ["my-vm"], metric: ["cpu_percent"], steps: 60 }],

  async run({ name, metric = [...METRICS], steps }, { host }) {
    const now = Date.now();
    const table = knownSampler(host)?.table;
    const domains = [...new Set(name)].flatMap((one) => {
      const series = table?.seriesOf(one);
      if (!series) return [];
      const read = metric.map((key) => [key, series.read(key, now, steps)]);
      return [{ name: one, ...Object.fromEntries(read) }];
    });
    const last = new Date(stepOf(now) * STEP_SECONDS * 1000).toISOString();
    return { last, step_seconds: STEP_SECONDS, domains };
  },
});
