/** An alert rule as callers see it. */
import * as z from "zod";
import { Selected } from "../http/selection.ts";
import { typesOf } from "../notifications/receivers.ts";
import type { Receiver } from "../notifications/store.ts";
import { CONDITIONS } from "./rule.ts";
import type { RuleWithAlerts } from "./store.ts";

export const AlertRuleView = z.object({
  name: z.string(),
  condition: z.enum(CONDITIONS),
  threshold: z.unknown().describe("percent, `{ count, period }` in seconds, or null"),
  for: z.number().describe("seconds"),
  hysteresis: z.number(),
  enabled: z.boolean(),
  hosts: z.array(z.string()).describe("aliases; none for all"),
  objects: z.array(z.string()).describe("patterns of names; none for all"),
  select: z.string().nullable().describe("the domains that match it, in the place of objects"),
  selected: Selected.nullable().describe("what select stood for when it was last measured"),
  actions: z.array(z.string()).describe("none for all receivers that get alerts"),
  receivers: z
    .array(z.string())
    .describe("of those, who is set up and enabled; none: nobody is told"),
  metadata: z.record(z.string(), z.unknown()),
  silence_until: z.string().nullable(),
  state: z.enum(["ok", "pending", "firing"]),
  since: z.string().describe("since when it is in that state"),
  last_value: z.number().nullable().describe("the highest of the last measurement"),
  evaluated_at: z.string().nullable().describe("null before the first time"),
  error: z.string().nullable().describe("what could not be measured, whose state stays as it was"),
  alerts: z
    .array(
      z.object({
        host: z.string().nullable(),
        object: z.string().nullable().describe("the domain, the pool or the schedule"),
        state: z.enum(["pending", "firing"]),
        since: z.string(),
        value: z.number().nullable(),
        detail: z.string(),
        told: z.boolean().describe("whether receivers know of it"),
      }),
    )
    .describe("what it is about now"),
  created_at: z.string(),
  created_by: z.string(),
});

const hearers = ({ actions }: RuleWithAlerts, receivers: Receiver[]) =>
  receivers
    .filter(({ enabled, name, settings }) => {
      const isMeant =
        actions.length > 0 ? actions.includes(name) : typesOf(settings).includes("alert.firing");
      return enabled && isMeant;
    })
    .map(({ name }) => name);

const utc = (time: string) => new Date(time).toISOString();

export function viewRule(
  rule: RuleWithAlerts,
  receivers: Receiver[],
): z.output<typeof AlertRuleView> {
  const { name, condition, threshold, for_seconds, hysteresis, enabled } = rule;
  const { hosts, objects, actions, metadata, silence_until, evaluated_at } = rule;
  const { state, last_value, error, alerts, created_by, selects, selected } = rule;
  return {
    ...{ name, condition, threshold, for: for_seconds, hysteresis, enabled, hosts, objects },
    ...{ select: selects, selected },
    ...{
      actions,
      receivers: hearers(rule, receivers),
      metadata,
      silence_until: silence_until === null ? null : utc(silence_until),
    },
    ...{ state, since: utc(rule.since), last_value, error },
    evaluated_at: evaluated_at === null ? null : utc(evaluated_at),
    alerts: alerts.map(({ host, object, since, ...rest }) => ({
      ...{ host: host || null, object: object || null, since: utc(since) },
      ...{ state: rest.state, value: rest.value, detail: rest.detail, told: rest.told },
    })),
    ...{ created_at: utc(rule.created_at), created_by },
  };
}
