/** POST /alert-rules/update: silence an alert rule for a time, or enable or disable it. */
import * as z from "zod";
import { RuleName } from "#runtime/alerts/rule.ts";
import { changeRule, readRule } from "#runtime/alerts/store.ts";
import { AlertRuleView, viewRule } from "#runtime/alerts/view.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { readReceivers } from "#runtime/notifications/store.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Silence an alert rule for a time, or enable or disable it",
  scope: "server",
  input: z.strictObject({
    name: RuleName,
    enabled: z.boolean().optional().describe("false: it is about nothing until it is enabled"),
    silence_until: z.iso
      .datetime({ offset: true })
      .nullable()
      .optional()
      .describe("nobody is told of what begins before; null ends a silence"),
  }),
  output: AlertRuleView,
  message: ({ name }) => `alert rule ${name} was changed`,
  examples: [{ name: "crashed", silence_until: "2027-01-01T06:00:00Z" }],

  async run({ name, enabled, silence_until }, { caller }) {
    checkUnlimited(caller);
    await changeRule(await readRule(name), {
      ...(enabled !== undefined && { enabled }),
      ...(silence_until !== undefined && { silence_until }),
    });
    return viewRule(await readRule(name), await readReceivers());
  },
});
