/** Sends one message to one receiver. Resolves when it has taken it. */
import { postMattermost, postNtfy, postSlack } from "./chat.ts";
import { sendMail } from "./mail.ts";
import type { Message } from "./message.ts";
import { checkTaken } from "./post.ts";
import type { ReceiverName, ReceiverSettings } from "./receivers.ts";
import { postWebhook } from "./webhook.ts";

type Send<N extends ReceiverName> = (
  settings: ReceiverSettings<N>,
  message: Message,
) => Promise<void>;

const SENDERS: { [N in ReceiverName]: Send<N> } = {
  email: sendMail,
  slack: async (settings, message) => checkTaken(await postSlack(settings, message)),
  mattermost: async (settings, message) => checkTaken(await postMattermost(settings, message)),
  ntfy: async (settings, message) => checkTaken(await postNtfy(settings, message)),
  webhook: async (settings, message) => checkTaken(await postWebhook(settings, message)),
};

/** Throws `HyperError` with the reason. */
export const send = <N extends ReceiverName>(
  name: N,
  settings: ReceiverSettings<N>,
  message: Message,
) => SENDERS[name](settings, message);
