/** GET /notifications/config: who is told what, and whether messages arrive; secrets are hidden. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { readReceivers } from "#runtime/notifications/store.ts";
import { NotificationsView, viewReceivers } from "#runtime/notifications/view.ts";

export default defineFunction({
  method: "GET",
  access: "admin",
  summary: "Show who gets messages, and whether they arrive",
  scope: "server",
  input: z.strictObject({}),
  output: NotificationsView,
  message: null,

  async run(_input, { caller }) {
    checkUnlimited(caller);
    return viewReceivers(await readReceivers());
  },
});
