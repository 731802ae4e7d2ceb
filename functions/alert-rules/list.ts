/** GET /alert-rules/list: alert rules, with what they fire about. */
import * as z from "zod";
import { listRules } from "#runtime/alerts/store.ts";
import { AlertRuleView, viewRule } from "#runtime/alerts/view.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { readReceivers } from "#runtime/notifications/store.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List alert rules, with what they fire about",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({ rules: z.array(AlertRuleView), total: z.number() }),
  message: null,

  async run(_input, { caller }) {
    checkUnlimited(caller);
    const receivers = await readReceivers();
    const rules = (await listRules()).map((rule) => viewRule(rule, receivers));
    return { rules, total: rules.length };
  },
});
