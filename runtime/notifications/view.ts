/** The receivers as an administrator sees them: without their secrets. */
import * as z from "zod";
import { settings as configuration } from "../core/settings.ts";
import { hideSecrets } from "./hidden.ts";
import { RECEIVER_NAMES, type ReceiverName } from "./receivers.ts";
import type { Receiver } from "./store.ts";

const ReceiverView = z.looseObject({
  enabled: z.boolean(),
  status: z
    .object({
      waiting: z.number().describe("messages that wait for it"),
      delivered: z.number(),
      last_delivery: z.string().nullable(),
      last_error: z.string().nullable().describe("why the first of them did not arrive yet"),
      next_try: z.string().nullable(),
      dropped: z
        .number()
        .describe("messages that were given up: after a day, or refused with 400, 413 or 422"),
      changed_at: z.string(),
      changed_by: z.string(),
    })
    .nullable()
    .describe("null for one that was never set up"),
});

export const NotificationsView = z.object({
  ...(Object.fromEntries(RECEIVER_NAMES.map((name) => [name, ReceiverView])) as Record<
    ReceiverName,
    typeof ReceiverView
  >),
  sms: z.object({ enabled: z.literal(false) }).describe("unsupported: use a webhook"),
  hosts: z.array(z.string()).describe("those that [notifications] hosts allows"),
});

export function viewReceivers(receivers: Receiver[]): z.output<typeof NotificationsView> {
  const views = RECEIVER_NAMES.map((name) => {
    const found = receivers.find((one) => one.name === name);
    return [name, found ? viewReceiver(found) : { enabled: false, status: null }] as const;
  });
  return {
    ...(Object.fromEntries(views) as Record<ReceiverName, z.output<typeof ReceiverView>>),
    sms: { enabled: false },
    hosts: configuration().notifications.hosts,
  };
}

const utc = (time: string | null) => (time === null ? null : new Date(time).toISOString());

const viewReceiver = ({ settings, enabled, ...rest }: Receiver) => ({
  enabled,
  ...hideSecrets(settings),
  status: {
    ...{ waiting: rest.waiting, delivered: rest.delivered, dropped: rest.dropped },
    ...{ last_delivery: utc(rest.delivered_at), last_error: rest.last_error },
    ...{ next_try: utc(rest.retry_at), changed_at: `${utc(rest.changed_at)}` },
    changed_by: rest.changed_by,
  },
});
