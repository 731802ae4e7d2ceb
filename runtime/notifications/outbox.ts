/**
 * Messages that wait. One is stored in the transaction that makes what it tells of, so that it is told once or that did
 * not happen; it is gone from here when its receiver has taken it.
 */
import { randomUUID } from "node:crypto";
import type { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { query, transaction } from "../store/database.ts";
import { storable, storableJson } from "../store/text.ts";
import type { Message, MessageData, Type } from "./message.ts";
import { FinalRefusal } from "./post.ts";
import type { ReceiverName, ReceiverSettings } from "./receivers.ts";

interface Client {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

export interface NewMessage {
  type: Type;
  data: MessageData;
  /** Those that get it; unless given, those whose settings have its type. */
  receivers?: string[] | undefined;
}

const STORE = `INSERT INTO outbox (receiver, id, type, data)
  SELECT receiver.name, one.id, one.type, one.data
  FROM ROWS FROM (json_to_recordset($1) AS (id uuid, type text, data json, receivers jsonb))
    WITH ORDINALITY AS one (id, type, data, receivers, place), receiver
  WHERE receiver.enabled AND CASE WHEN one.receivers IS NULL THEN one.type = ANY (receiver.types)
    ELSE one.receivers ? receiver.name END
  ORDER BY one.place`;

/** Within a transaction. */
export async function storeMessages(client: Client, messages: NewMessage[]) {
  if (messages.length === 0) return;
  const rows = messages.map((one) => ({ id: randomUUID(), ...one }));
  await client.query(STORE, [storableJson(rows)]);
}

/** Whether any receiver gets messages of these types. Costs one look, where most servers have none. */
export async function anyWants(client: Client, types: Type[]): Promise<boolean> {
  const find = "SELECT FROM receiver WHERE enabled AND types && $1 LIMIT 1";
  return (await client.query(find, [types])).rows.length > 0;
}

/** The first message of a receiver. */
export interface Head {
  seq: string;
  receiver: ReceiverName;
  settings: ReceiverSettings;
  message: Message;
  /** How often the present message, and those before it, were refused. */
  tries: number;
}

const HEADS = `SELECT one.seq, receiver.name AS receiver, receiver.settings, receiver.tries,
    json_build_object('id', one.id, 'type', one.type, 'timestamp', one.created_at, 'data', one.data) AS message
  FROM receiver, LATERAL (SELECT * FROM outbox WHERE outbox.receiver = receiver.name ORDER BY seq LIMIT 1) AS one
  WHERE receiver.enabled AND (receiver.retry_at IS NULL OR receiver.retry_at <= now())`;

/** Those that may be sent now. */
export async function readHeads(): Promise<Head[]> {
  const { rows } = await query<Head>(HEADS);
  return rows.map(({ message, ...rest }) => {
    return {
      ...rest,
      message: { ...message, timestamp: new Date(message.timestamp).toISOString() },
    };
  });
}

export async function noteTaken({ seq, receiver }: Head) {
  await transaction(async (client) => {
    const note = `UPDATE receiver SET tries = 0, retry_at = NULL, last_error = NULL,
      delivered = delivered + 1, delivered_at = now() WHERE name = $1`;
    await client.query(note, [receiver]);
    await client.query("DELETE FROM outbox WHERE seq = $1", [seq]);
  });
}

const KEPT = "1 day";
const FIRST_PAUSE_SECONDS = 1;
const LONGEST_PAUSE_SECONDS = 30 * 60;

/** 1 s, 2 s, 4 s … half an hour. */
export const pauseSeconds = (tries: number) =>
  Math.min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** Math.min(tries, 20));

/** The message is tried again after a pause, unless it is a day old, or refused for good. */
export async function noteRefused(head: Head, error: HyperError) {
  const { receiver, tries, message } = head;
  const isFinal = error instanceof FinalRefusal;
  const reason = storable(error.message.slice(0, 1000));
  const dropped = await (isFinal ? drop(head, reason) : postpone(head, reason));
  const text = isFinal
    ? "is given up, since it would be refused again"
    : dropped > 0
      ? `was among ${dropped} that are given up after a day`
      : `is tried again in ${pauseSeconds(tries)} s`;
  // what the receiver answered may repeat what was sent; GET /notifications/config shows it
  const told = { receiver, message: message.id, code: error.code };
  log.warn(told, `a message to ${receiver} did not arrive, and ${text}`);
}

/** The receiver's row comes first, as with everybody who changes both. */
const LOCK = "SELECT FROM receiver WHERE name = $1 FOR UPDATE";

/** Resolves to how many messages are given up. */
const postpone = ({ receiver, tries }: Head, reason: string) =>
  transaction(async (client) => {
    await client.query(LOCK, [receiver]);
    const old = `DELETE FROM outbox WHERE receiver = $1 AND created_at < now() - '${KEPT}'::interval`;
    const gone = (await client.query(old, [receiver])).rowCount ?? 0;
    const note = `UPDATE receiver SET tries = tries + 1, retry_at = now() + make_interval(secs => $2),
      last_error = $3, dropped = dropped + $4 WHERE name = $1`;
    await client.query(note, [receiver, pauseSeconds(tries), reason, gone]);
    return gone;
  });

/** Those behind it are sent at once. */
const drop = ({ receiver, seq }: Head, reason: string) =>
  transaction(async (client) => {
    await client.query(LOCK, [receiver]);
    const gone = (await client.query("DELETE FROM outbox WHERE seq = $1", [seq])).rowCount ?? 0;
    const note = `UPDATE receiver SET tries = 0, retry_at = NULL, last_error = $2, dropped = dropped + $3
      WHERE name = $1`;
    await client.query(note, [receiver, reason, gone]);
    return gone;
  });
