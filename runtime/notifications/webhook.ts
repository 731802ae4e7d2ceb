/** A webhook, signed as standardwebhooks has it: `webhook-id`, `webhook-timestamp`, `webhook-signature`. */
import type { Message } from "./message.ts";
import { post, type Reply } from "./post.ts";

export interface Webhook {
  url: string;
  headers: Record<string, string>;
  /** Undefined: it is not signed. */
  secret?: string | undefined;
}

/** The time in the signature is that of this try, since receivers refuse an old one. */
export async function postWebhook(
  { url, headers, secret }: Webhook,
  { id, type, timestamp, data }: Message,
): Promise<Reply> {
  const body = JSON.stringify({ type, timestamp, data });
  const now = new Date();
  const own = { "webhook-id": id, "webhook-timestamp": `${Math.floor(now.getTime() / 1000)}` };
  if (!secret) return post(url, body, { ...headers, ...own });
  const { Webhook } = await import("standardwebhooks");
  const signature = new Webhook(secret).sign(id, now, body);
  return post(url, body, { ...headers, ...own, "webhook-signature": signature });
}
