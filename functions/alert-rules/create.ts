/** POST /alert-rules/create: have receivers told when something is measured. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import {
  Actions,
  CONDITIONS,
  Duration,
  OF_DOMAINS,
  PERCENT,
  Period,
  RuleName,
} from "#runtime/alerts/rule.ts";
import { createRule, readRule } from "#runtime/alerts/store.ts";
import { AlertRuleView, viewRule } from "#runtime/alerts/view.ts";
import { HyperError } from "#runtime/core/errors.ts";
import { settings, unknownHypervisor } from "#runtime/core/settings.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { QueryText, readSelection } from "#runtime/http/selection.ts";
import { readReceivers } from "#runtime/notifications/store.ts";

const MAX_METADATA_BYTES = 10_000;

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Create an alert rule: who is told when a domain crashes, a pool fills up, jobs fail …",
  scope: "server",
  status: 201,
  input: z.strictObject({
    name: RuleName,
    condition: z.enum(CONDITIONS).describe("what it is about"),
    threshold: z
      .union([
        z.number().min(0).lt(100, "must be below 100 percent, since it fires beyond it"),
        z.strictObject({ count: z.int().min(1), period: Period }),
      ])
      .optional()
      .describe(
        "of storage_usage, cpu_usage, memory_usage: percent, beyond which it fires; of failed_jobs: { count, period }; the others have none",
      ),
    for: Duration.prefault(0).describe("how long it must last before it fires: seconds, or 5m"),
    hysteresis: z
      .number()
      .min(0)
      .default(0)
      .describe("so much below the threshold it ends: percent, or jobs"),
    enabled: z.boolean().default(true).describe("false: it is about nothing before it is enabled"),
    hosts: z.array(z.string()).default([]).describe("aliases; all unless given"),
    objects: z
      .array(z.string().min(1).max(255))
      .default([])
      .describe(
        "names of domains, pools or schedules, with * and ?; all unless given; host_unreachable and failed_jobs have none",
      ),
    select: QueryText.optional().describe(
      "in the place of objects: a query such as `tag:prod`; the rule is about the domains that match it whenever it is measured",
    ),
    actions: Actions.default([]),
    metadata: z.record(z.string(), z.unknown()).default({}).describe("goes with each message"),
    silence_until: z.iso.datetime({ offset: true }).nullish().describe("nobody is told before"),
  }),
  output: AlertRuleView,
  message: ({ name, enabled, receivers }) =>
    [
      `alert rule ${name} was created`,
      ...(enabled ? [] : ["it is disabled"]),
      ...(receivers.length > 0 ? [] : ["nobody is told, since no receiver of it is set up"]),
    ].join("; "),
  examples: [
    { name: "crashed", condition: "domain_crashed" },
    { name: "full", condition: "storage_usage", threshold: 90, for: "5m", hysteresis: 5 },
    { name: "prod", condition: "domain_crashed", select: "tag:prod" },
    { name: "jobs", condition: "failed_jobs", threshold: { count: 3, period: "1h" } },
  ],

  async run({ for: for_seconds, threshold, silence_until, select, ...rest }, ctx) {
    checkUnlimited(ctx.caller);
    checkThreshold({ ...rest, threshold });
    checkObjects(rest);
    checkSelect({ ...rest, select });
    for (const [at, host] of rest.hosts.entries()) checkHost(host, at);
    if (JSON.stringify(rest.metadata).length > MAX_METADATA_BYTES) {
      const text = `metadata: must have at most ${MAX_METADATA_BYTES} bytes as JSON`;
      throw new HyperError("invalid_input", text);
    }
    const among = rest.hosts.length > 0 ? rest.hosts : ctx.hosts;
    const selected = select === undefined ? null : await readSelection(ctx, select, among);
    const rule = { ...rest, for_seconds, threshold: threshold ?? null, selects: select ?? null };
    const stored = { ...rule, silence_until: silence_until ?? null };
    await createRule(stored, describeCaller(ctx.caller), selected);
    return viewRule(await readRule(rest.name), await readReceivers());
  },
});

function checkHost(host: string, at: number) {
  if (!Object.hasOwn(settings().hosts, host)) throw unknownHypervisor([host], `hosts.${at}`);
}

interface Bounds {
  condition: (typeof CONDITIONS)[number];
  threshold?: number | { count: number } | undefined;
  hysteresis: number;
}

function checkThreshold({ condition, threshold, hysteresis }: Bounds) {
  const bad = (text: string) => new HyperError("invalid_input", text);
  const kind = typeof threshold;
  if (PERCENT.includes(condition)) {
    if (kind !== "number") throw bad(`threshold: must be percent, 0 to 100, for ${condition}`);
  } else if (condition === "failed_jobs") {
    if (kind !== "object") throw bad("threshold: must be { count, period } for failed_jobs");
  } else if (kind !== "undefined") throw bad(`threshold: ${condition} has none`);
  const limit = typeof threshold === "object" ? threshold.count : (threshold ?? 1);
  if (hysteresis > 0 && hysteresis >= limit) {
    throw bad("hysteresis: must be less than the threshold");
  }
}

/** They would never fire, since what they are about has no name. */
function checkObjects({ condition, objects }: { condition: string; objects: string[] }) {
  if (objects.length === 0 || !["host_unreachable", "failed_jobs"].includes(condition)) return;
  throw new HyperError("invalid_input", `objects: ${condition} has none; hosts can limit it`);
}

/** A query is about domains; what has names of other kinds is limited by `objects`. */
function checkSelect({
  condition,
  objects,
  select,
}: {
  condition: (typeof CONDITIONS)[number];
  objects: string[];
  select: string | undefined;
}) {
  if (select === undefined) return;
  const bad = (text: string) => new HyperError("invalid_input", text);
  if (objects.length > 0) throw bad("select: must not be given with objects; give one of the two");
  if (!OF_DOMAINS.includes(condition)) throw bad(`select: ${condition} is not about domains`);
}
