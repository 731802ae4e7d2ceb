/** Slack, Mattermost and ntfy: a POST each. Names in a text are other people's, and must not call a whole channel. */
import { type Message, shorten } from "./message.ts";
import { post, type Reply } from "./post.ts";
import type { ReceiverSettings } from "./receivers.ts";

const isTrouble = ({ type }: Message) => type === "job.failed" || type === "alert.firing";
const words = ({ data }: Message) => shorten([data.title, data.text].filter(Boolean).join("\n"));

/** Slack reads `<!channel>` and links in angle brackets (source: its "Formatting text"). */
export const slackText = (text: string) =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** Mattermost reads `@all`; a space of no width ends the word before the name. */
export const mattermostText = (text: string) => text.replaceAll("@", "@\u200b");

export const postSlack = (
  { webhook_url, channel }: ReceiverSettings<"slack">,
  message: Message,
): Promise<Reply> =>
  post(
    webhook_url,
    JSON.stringify({ text: slackText(words(message)), ...(channel && { channel }) }),
    {},
  );

export const postMattermost = (
  { webhook_url, channel }: ReceiverSettings<"mattermost">,
  message: Message,
): Promise<Reply> => {
  const text = mattermostText(words(message));
  return post(webhook_url, JSON.stringify({ text, ...(channel && { channel }) }), {});
};

/** ntfy makes a file of a message of more than 4 KB, and refuses a body of more than 8 KB (source: its server.go). */
const NTFY_BYTES = 3000;

/** As JSON, because a header holds no Unicode. */
export function ntfyBody(topic: string, message: Message): string {
  const { title, text } = message.data;
  const priority = isTrouble(message) ? 4 : 3;
  return JSON.stringify({ topic, title, message: shorten(text || title, NTFY_BYTES), priority });
}

export const postNtfy = (
  { server, topic, token }: ReceiverSettings<"ntfy">,
  message: Message,
): Promise<Reply> =>
  post(server, ntfyBody(topic, message), token ? { Authorization: `Bearer ${token}` } : {});
