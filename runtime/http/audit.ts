/**
 * The audit log: one JSON line for every call to a function that changes something. A line that cannot be
 * written is kept, and nothing more is changed until it is.
 */
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Caller } from "../access/caller.ts";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { stateFolder } from "../core/paths.ts";
import { settings } from "../core/settings.ts";

export interface Entry {
  /** When the call came, RFC 3339. */
  time: string;
  request_id: string;
  who: Pick<Caller, "kind" | "name">;
  /** The address that it came from. */
  address: string;
  function: string;
  /** The hypervisor's alias. */
  host: string;
  /** Null when the call was answered before they were read. */
  arguments: unknown;
  /** unknown: the server ended before the call did. */
  result: "done" | "failed" | "refused" | "unknown";
  status: number | null;
  code?: string;
  error?: string;
  /** Of a batch: how many. */
  successful?: number;
  failed?: number;
  duration_ms: number;
}

const waiting: string[] = [];
/** The last one may stand there in part. */
let torn = false;

export const auditFile = () => settings().audit.file ?? `${stateFolder()}/audit.jsonl`;

export function audit(entry: Entry) {
  // refused while nothing can be written: there may be any number of these, and the log has them
  if (entry.result === "refused" && waiting.length > 0) return;
  waiting.push(`${JSON.stringify({ ...entry, arguments: redact(entry.arguments) })}\n`);
  try {
    flush();
  } catch (error) {
    log.error({ error, entry: waiting.at(-1) }, "the audit log cannot be written");
  }
}

/** Before a change. Throws `audit_failed` while a line waits to be written. */
export function checkAudit() {
  if (waiting.length === 0) return;
  try {
    flush();
  } catch (cause) {
    const text =
      "the audit log cannot be written, so nothing is changed; the server's log says why";
    throw new HyperError("audit_failed", text, { cause });
  }
}

/** Makes the file where there is none; throws when it cannot be written. */
export function openAudit() {
  mkdirSync(dirname(auditFile()), { recursive: true, mode: 0o700 });
  append("");
}

/** Opened each time, so that whoever rotates it need not tell us. */
const append = (text: string) => appendFileSync(auditFile(), text, { mode: 0o600 });

function flush() {
  if (waiting.length === 0) return;
  const text = `${torn ? "\n" : ""}${waiting.join("")}`;
  torn = true;
  append(text);
  torn = false;
  waiting.length = 0;
}

const SECRET = /pass|secret|token|credential|private/i;
/** Characters of one text. */
const LONG = 4096;

/** Without what the name of a field says is secret, and without the rest of what is very long. */
export function redact(value: unknown): unknown {
  if (typeof value === "string" && value.length > LONG) {
    return `${value.slice(0, LONG).toWellFormed()}… (${value.length} characters)`;
  }
  if (Array.isArray(value)) return value.map(redact);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, one]) => [
    key,
    SECRET.test(key) ? "[redacted]" : redact(one),
  ]);
  return Object.fromEntries(entries);
}
