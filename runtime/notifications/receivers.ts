/** The settings of each receiver. Fields that are secret are marked, and shown as "***". */
import * as z from "zod";
import { TYPES } from "./message.ts";

/** As the settings are shown: where it is given back, the stored one stays. */
export const HIDDEN = "***";
const isHttp = (text: string) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
const target = (fits: (text: string) => boolean) =>
  z
    .string()
    .max(2000)
    .refine(fits, "must be an http or https URL")
    .refine(
      (text) => !URL.canParse(text) || new URL(text).username + new URL(text).password === "",
      { message: "must hold no user name and password; a header can" },
    );
export const TargetUrl = target(isHttp);
const SecretUrl = target((text) => text === HIDDEN || isHttp(text));
/** ntfy reads JSON at its root alone. */
const Root = TargetUrl.refine(
  (text) => !URL.canParse(text) || /^\/?$/.test(new URL(text).pathname + new URL(text).search),
  "must have no path; the topic is a field of its own",
);
const line = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[^\p{Cc}]*$/u, "must be one line");
/** HTTP carries no others. */
const headerValue = z
  .string()
  .max(4000)
  .regex(/^[\x20-\x7e\xa0-\xff]*$/, "must be one line of Latin letters, digits and signs");
const mailbox = line(320).regex(
  /^[^\s<>,;"]+@[^\s<>,;"]+$/,
  "must be an address such as ops@example.com",
);

const events = z.array(z.enum(TYPES)).describe("the messages that it gets");
export const Headers = z
  .record(
    z
      .string()
      .regex(
        /^(?!webhook-|host$|content-|connection$|keep-alive$|transfer-encoding$|upgrade$|te$|trailer$|expect$)[A-Za-z0-9-]{1,100}$/i,
        "must be the name of a header that is not ours",
      ),
    headerValue,
  )
  .describe("their values are secrets");

const chat = {
  webhook_url: SecretUrl.describe("of an incoming webhook; it is a secret"),
  channel: line(200).nullish().describe("another one than the webhook's own"),
  events,
};

export const RECEIVERS = {
  email: z.strictObject({
    smtp_server: line(253).regex(/^[A-Za-z0-9.:_-]+$/, "must be a host name or an address"),
    port: z.int().min(1).max(65535).describe("587 unless given"),
    security: z
      .enum(["starttls", "tls", "none"])
      .describe("tls: from the first byte on, as at port 465; none: only to this machine"),
    username: line(320).nullish(),
    password: line(1000).nullish(),
    from: mailbox,
    to: z.array(mailbox).min(1).max(50),
    on_completion: z.boolean().describe("of each job that has completed"),
    on_failure: z.boolean().describe("of each job that has failed"),
    daily_summary: z.boolean().describe("of each day, after midnight UTC"),
  }),
  slack: z.strictObject(chat),
  mattermost: z.strictObject(chat),
  ntfy: z.strictObject({
    server: Root,
    topic: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be up to 64 letters, digits, "_" and "-"'),
    token: headerValue.max(200).nullish(),
    events,
  }),
  webhook: z.strictObject({
    url: TargetUrl.describe("its query is not shown"),
    headers: Headers,
    secret: z
      .string()
      .regex(
        /^(whsec_[A-Za-z0-9+/]{32,88}={0,2}|\*\*\*)$/,
        'must be "whsec_" and 24 to 64 bytes in Base64',
      )
      .describe("signs each message as standardwebhooks has it"),
    events,
  }),
} as const;

export type ReceiverName = keyof typeof RECEIVERS;
export type ReceiverSettings<N extends ReceiverName = ReceiverName> = z.output<
  (typeof RECEIVERS)[N]
>;
export const RECEIVER_NAMES = Object.keys(RECEIVERS) as ReceiverName[];

const TROUBLE = ["job.failed", "alert.firing", "alert.resolved"];

/** What a receiver has that was never given. */
export const DEFAULTS: Record<ReceiverName, object> = {
  email: {
    ...{ port: 587, security: "starttls" },
    ...{ on_completion: false, on_failure: true, daily_summary: false },
  },
  slack: { events: TROUBLE },
  mattermost: { events: TROUBLE },
  ntfy: { server: "https://ntfy.sh", events: TROUBLE },
  webhook: { headers: {}, events: TYPES },
};

/** The types of messages that a receiver gets without being named. */
export function typesOf(settings: ReceiverSettings): string[] {
  if ("events" in settings) return settings.events;
  const { on_completion, on_failure, daily_summary } = settings;
  return [
    ...(on_completion ? ["job.completed"] : []),
    ...(on_failure ? ["job.failed"] : []),
    ...(daily_summary ? ["summary.daily"] : []),
    ...["alert.firing", "alert.resolved"],
  ];
}
