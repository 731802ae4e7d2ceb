/** POST /webhooks/test: send a message to a URL now, and see what its server answers. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { testMessage } from "#runtime/notifications/change.ts";
import { TYPES } from "#runtime/notifications/message.ts";
import { Headers, type ReceiverSettings, TargetUrl } from "#runtime/notifications/receivers.ts";
import { readReceivers } from "#runtime/notifications/store.ts";
import { postWebhook } from "#runtime/notifications/webhook.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Send a test message to a webhook, and show what its server answers",
  scope: "server",
  input: z.strictObject({
    url: TargetUrl.optional().describe("the stored webhook's unless given, with its headers"),
    headers: Headers.optional().describe("more of them"),
    event: z.enum(TYPES).default("test").describe("the type that the message has"),
  }),
  output: z.object({
    delivered: z.boolean().describe("whether the status is 2xx"),
    status: z.number().describe("of the receiver's answer"),
    answer: z.string().describe("the begin of its body"),
    duration_ms: z.number(),
    id: z.string().describe("the message's webhook-id"),
    signed: z.boolean().describe("with the stored webhook's secret, which only that one gets"),
  }),
  message: ({ status, duration_ms }) => `the receiver answered ${status} in ${duration_ms} ms`,
  examples: [{ url: "http://localhost:9000/hook", headers: { "X-Team": "ops" } }],

  async run({ url, headers, event }, { caller }) {
    checkUnlimited(caller);
    const target = url === undefined ? await stored() : { url, headers: {} };
    const message = testMessage(describeCaller(caller), event);
    const reply = await postWebhook(
      { ...target, headers: { ...target.headers, ...headers } },
      message,
    ).catch(nameUrl);
    return {
      delivered: reply.status >= 200 && reply.status < 300,
      ...{ status: reply.status, answer: reply.text, duration_ms: Math.round(reply.ms) },
      ...{ id: message.id, signed: "secret" in target },
    };
  },
});

function nameUrl(error: Error): never {
  if (!(error instanceof HyperError) || error.code !== "invalid_input") throw error;
  throw new HyperError(error.code, `url: ${error.message}`, { cause: error });
}

async function stored() {
  const found = (await readReceivers()).find(({ name }) => name === "webhook");
  if (found) return found.settings as ReceiverSettings<"webhook">;
  throw new HyperError("invalid_input", "url: required, since no webhook is stored");
}
