/** What a caller wants of a receiver, put together with what is stored, and tried with a message. */
import { randomUUID } from "node:crypto";
import { HyperError, inputError, toHyperError } from "../core/errors.ts";
import { timestamp } from "../core/time.ts";
import { keepSecrets } from "./hidden.ts";
import type { Message, Type } from "./message.ts";
import { DEFAULTS, RECEIVERS, type ReceiverName } from "./receivers.ts";
import { send } from "./send.ts";
import type { Change, Receiver } from "./store.ts";

/** The fields of a receiver that are given; the others stay as they are. */
export type Wanted = { enabled?: boolean | undefined } & Record<string, unknown>;

/** Throws `invalid_input` with the field. */
export function changeOf(name: ReceiverName, wanted: Wanted, stored: Receiver | undefined): Change {
  const { enabled = stored?.enabled ?? true, ...given } = wanted;
  const before = stored?.settings as Record<string, unknown> | undefined;
  const merged = { ...DEFAULTS[name], ...before, ...keepSecrets(name, given, before) };
  checkPlace(name, merged, before, given);
  const known = Object.entries(merged).filter(([, value]) => value !== null && value !== undefined);
  const parsed = RECEIVERS[name].safeParse(Object.fromEntries(known));
  if (parsed.success) return { name, settings: parsed.data, enabled };
  throw inputError(parsed.error, [name]);
}

/** Where a receiver is, and the secrets that are sent there. */
const PLACES: Partial<Record<ReceiverName, { place: string; secrets: string[] }>> = {
  email: { place: "smtp_server", secrets: ["password"] },
  ntfy: { place: "server", secrets: ["token"] },
  webhook: { place: "url", secrets: ["headers"] },
};

/** Of a URL with its scheme, so that what was given for https is not sent in clear. */
const hostOf = (place: unknown) => (URL.canParse(`${place}`) ? new URL(`${place}`).origin : place);

/** A stored secret is never sent to another host than it was given for. */
function checkPlace(
  name: ReceiverName,
  merged: Record<string, unknown>,
  before: Record<string, unknown> | undefined,
  given: Record<string, unknown>,
) {
  const { place = "", secrets = [] } = PLACES[name] ?? {};
  if (!before || hostOf(merged[place]) === hostOf(before[place])) return;
  for (const secret of secrets) {
    const value = before[secret] as string | object | undefined;
    const isNew = secret in given && JSON.stringify(merged[secret]) !== JSON.stringify(value);
    const isEmpty = !value || (typeof value === "object" && Object.keys(value).length === 0);
    if (isNew || isEmpty) continue;
    const text = `${name}.${secret}: must be given anew, since ${place} names another host or scheme`;
    throw new HyperError("invalid_input", text);
  }
}

/** A message that tells nothing; `type` is what it is to look like. */
export const testMessage = (who: string, type: Type = "test"): Message => ({
  id: randomUUID(),
  type,
  timestamp: timestamp(),
  data: {
    title: "Test message of HyperSDK",
    text: `${who} asked for this message, to see whether messages arrive here.`,
    test: true,
  },
});

/** Throws the error of the first receiver that does not take it, with its name. */
export async function tryAll(changes: Change[], who: string) {
  const message = testMessage(who);
  const tries = changes.map(async ({ name, settings }) => {
    await send(name, settings, message).catch((error) => {
      const { code, message: text, details } = toHyperError(error);
      const why = `${name}: the test message did not arrive, so nothing was changed: ${text}`;
      throw new HyperError(code, why, { details, cause: error });
    });
  });
  const [failed] = (await Promise.allSettled(tries)).filter(({ status }) => status === "rejected");
  if (failed) throw (failed as PromiseRejectedResult).reason;
}
