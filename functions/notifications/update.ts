/** PUT /notifications/update: choose who gets messages; each receiver gets a test message before that counts. */
import * as z from "zod";
import { describeCaller } from "#runtime/access/caller.ts";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { checkUnlimited } from "#runtime/function/job-access.ts";
import { changeOf, tryAll, type Wanted } from "#runtime/notifications/change.ts";
import { RECEIVER_NAMES, RECEIVERS, type ReceiverName } from "#runtime/notifications/receivers.ts";
import { readReceivers, writeReceivers } from "#runtime/notifications/store.ts";
import { NotificationsView, viewReceivers } from "#runtime/notifications/view.ts";

const enabled = { enabled: z.boolean().optional() };
/** Fields that are not given stay as they are. */
const section = <N extends ReceiverName>(name: N, words: string) =>
  (RECEIVERS[name] as (typeof RECEIVERS)[N]).partial().extend(enabled).optional().describe(words);

export default defineFunction({
  method: "PUT",
  access: "admin",
  summary: "Choose who gets messages; each receiver gets a test message before it counts",
  scope: "server",
  input: z.strictObject({
    email: section("email", "a mail server, and who gets its mails"),
    slack: section("slack", "an incoming webhook of Slack"),
    mattermost: section("mattermost", "an incoming webhook of Mattermost"),
    ntfy: section("ntfy", "a topic of ntfy"),
    webhook: section("webhook", "any server that takes a POST"),
    sms: z
      .strictObject({
        ...enabled,
        provider: z.string().optional(),
        numbers: z.array(z.string()).optional(),
      })
      .optional()
      .describe("unsupported: use a webhook"),
  }),
  output: NotificationsView,
  message: (_data, input) => `changed: ${Object.keys(input).join(", ") || "nothing"}`,
  examples: [
    { email: { enabled: false } },
    {
      webhook: {
        url: "http://localhost:9000/hook",
        secret: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        events: ["job.failed", "alert.firing", "alert.resolved"],
      },
    },
  ],

  async run({ sms, ...sections }, { caller }) {
    checkUnlimited(caller);
    if (sms && sms.enabled !== false && Object.keys(sms).length > 0) {
      const text =
        "sms: no provider of text messages is known here; use webhook, and send them from there";
      throw new HyperError("unsupported", text);
    }
    const stored = await readReceivers();
    const changes = RECEIVER_NAMES.flatMap((name) => {
      const wanted = sections[name] as Wanted | undefined;
      return wanted ? [{ name, wanted, before: stored.find((one) => one.name === name) }] : [];
    })
      .filter(({ wanted, before }) => before || wanted.enabled !== false || hasMore(wanted))
      .map(({ name, wanted, before }) => changeOf(name, wanted, before));
    await tryAll(
      changes.filter(({ enabled }) => enabled),
      describeCaller(caller),
    );
    await writeReceivers(changes, describeCaller(caller));
    return viewReceivers(await readReceivers());
  },
});

/** To disable what was never set up needs no settings. */
const hasMore = (wanted: Wanted) => Object.keys(wanted).some((key) => key !== "enabled");
