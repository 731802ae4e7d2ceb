/** POST /alert-rules/delete: delete an alert rule; nobody is told of an end of what it fires about. */
import * as z from "zod";
import { RuleName } from "#runtime/alerts/rule.ts";
import { deleteRule, readRule } from "#runtime/alerts/store.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Delete an alert rule",
  scope: "server",
  input: z.strictObject({ name: RuleName }),
  output: z.object({ name: z.string() }),
  message: ({ name }) => `alert rule ${name} was deleted`,
  examples: [{ name: "crashed" }],

  async run({ name }, { caller }) {
    checkUnlimited(caller);
    await deleteRule(await readRule(name));
    return { name };
  },
});
