/** Slack, Mattermost and ntfy: a POST each. Names in a text are other people's, and must not call a whole channel. */
import type { Message } from "./message.ts";
import { post, type Reply } from "./post.ts";
import type { ReceiverSettings } from "./receivers.ts";

const isTrouble = ({ type }: Message) => type === "job.failed" || type === "alert.firing";
const words = ({ data }: Message) => [data.title, data.text].filter(Boolean).join("\n");

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

/** As JSON, because a header holds no Unicode. */
export const postNtfy = (
  { server, topic, token }: ReceiverSettings<"ntfy">,
  message: Message,
): Promise<Reply> => {
  const { title, text } = message.data;
  const priority = isTrouble(message) ? 4 : 3;
  const body = JSON.stringify({ topic, title, message: text || title, priority });
  return post(server, body, token ? { Authorization: `Bearer ${token}` } : {});
};
