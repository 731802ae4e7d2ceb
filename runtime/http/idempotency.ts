/**
 * `Idempotency-Key` (source: the IETF draft "The Idempotency-Key HTTP Header Field"): a call that changes something
 * and is sent again with the same key gets the first answer again, for a day, and is carried out once.
 */
import { createHash } from "node:crypto";
import type { Context } from "hono";
import { type Caller, describeCaller } from "../access/caller.ts";
import { type ErrorCode, HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { hostKey } from "../jobs/host-key.ts";
import { query } from "../store/database.ts";
import { storableJson } from "../store/text.ts";
import type { Call } from "./call.ts";
import { knownError } from "./envelope.ts";

const KEEP = "24 hours";
/** A server that has not said for so long that it is at work on a call is gone. */
const SILENCE = "15 seconds";
const BEAT_MS = 5000;

/** After these nothing was begun, so the same call may be tried again. */
const NOT_BEGUN: ErrorCode[] = ["busy", "unreachable", "function_unavailable", "audit_failed"];

/** Before the fingerprint of a call that becomes a job. */
const JOB = "job ";

interface Answer {
  status: number;
  headers: [string, string][];
  body: string;
  /** Of a failure. */
  error?: { code: ErrorCode; message: string; details: Record<string, unknown> };
}

/**
 * Runs the call, unless one with its key was before. One that becomes a job gives the key to the job too, so that it
 * is the same job where the server was killed before it answered.
 */
export async function once(
  c: Context,
  call: Call,
  key: string,
  run: () => Promise<Response>,
  isJob = false,
): Promise<Response> {
  checkKey(key);
  const row = [call.caller ? whoOf(call.caller) : "", key];
  const request = fingerprint(call);
  const first = await begin(row, request, isJob);
  if (first) return replay(c, first);
  const beat = setInterval(() => void renew(row), BEAT_MS);
  try {
    const response = await run();
    const headers = [...response.headers].filter(
      ([name]) => name === "location" || name === "content-type",
    );
    await keep(row, { status: response.status, headers, body: await response.clone().text() });
    return response;
  } catch (error) {
    const { code, message, details } = knownError(error as Error);
    if (NOT_BEGUN.includes(code) && !details.left) await forget(row);
    else await keep(row, { status: 0, headers: [], body: "", error: { code, message, details } });
    throw error;
  } finally {
    clearInterval(beat);
  }
}

/** Another token of the same name is another caller. */
const whoOf = (caller: Caller) =>
  [describeCaller(caller), caller.fingerprint].filter(Boolean).join(" ");

function checkKey(key: string) {
  if (/^[\x21-\x7e]{1,255}$/.test(key)) return;
  const allowed = "1 to 255 visible ASCII characters";
  throw new HyperError("invalid_input", `Idempotency-Key: must be ${allowed}`);
}

function fingerprint({ method, path, host, input }: Call): string {
  return createHash("sha256")
    .update(JSON.stringify([method, path, hostKey(host), input]))
    .digest("hex");
}

/** Undefined for the first call with its key; else the first one's answer. Throws for another call, or one at work. */
async function begin(row: string[], hash: string, isJob: boolean): Promise<Answer | undefined> {
  const request = isJob ? `${JOB}${hash}` : hash;
  // jobs/retention.ts removes those of others; a call may be at work for longer
  const old = `created_at < now() - interval '${KEEP}' AND alive_at < now() - interval '${SILENCE}'`;
  await query(`DELETE FROM idempotency WHERE who = $1 AND key = $2 AND ${old}`, row);
  const insert = `INSERT INTO idempotency (who, key, request) VALUES ($1, $2, $3)
    ON CONFLICT DO NOTHING RETURNING key`;
  if ((await query(insert, [...row, request])).rows.length > 0) return undefined;
  const read = `SELECT request, answer, alive_at > now() - interval '${SILENCE}' AS alive
    FROM idempotency WHERE who = $1 AND key = $2`;
  const { rows } = await query<{ request: string; answer: Answer | null; alive: boolean }>(
    read,
    row,
  );
  const [known] = rows;
  if (!known)
    throw new HyperError("busy", "the call with this Idempotency-Key has just ended; try again");
  if (known.request.replace(JOB, "") !== hash) {
    const text = "Idempotency-Key: was used for another call; give each call a key of its own";
    throw new HyperError("idempotency_mismatch", text);
  }
  if (known.answer) return known.answer;
  if (known.alive) {
    const text = "Idempotency-Key: the first call with this key is still at work; try again later";
    throw new HyperError("idempotency_conflict", text, { details: { retry_after: 1 } });
  }
  if (isJob && known.request === request) {
    await renew(row);
    return undefined;
  }
  const text = "the server ended in the middle of the first call with this Idempotency-Key";
  throw new HyperError(
    "outcome_unknown",
    `${text}; look at the present state, and use another key`,
  );
}

function replay(c: Context, { status, headers, body, error }: Answer): Response {
  c.header("Idempotency-Replayed", "true");
  if (error) throw new HyperError(error.code, error.message, { details: error.details });
  return c.body(body, status as 200, Object.fromEntries(headers));
}

const renew = (row: string[]) =>
  query("UPDATE idempotency SET alive_at = now() WHERE who = $1 AND key = $2", row).catch((cause) =>
    log.warn({ cause }, "an Idempotency-Key could not be renewed"),
  );

/** The call itself is done by now, so that a lost database is a line in the log. */
const keep = (row: string[], answer: Answer) =>
  query("UPDATE idempotency SET answer = $3 WHERE who = $1 AND key = $2", [
    ...row,
    storableJson(answer),
  ]).catch((cause) =>
    log.error({ cause }, "the answer of a call with an Idempotency-Key could not be kept"),
  );

const forget = (row: string[]) =>
  query("DELETE FROM idempotency WHERE who = $1 AND key = $2", row).catch((cause) =>
    log.warn({ cause }, "an Idempotency-Key could not be given back"),
  );
