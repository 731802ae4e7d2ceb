/**
 * The audit log: one JSON line for every call to a function that changes something. While a line cannot be
 * written, it is kept and every change is refused.
 */
import { appendFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Caller } from "../access/caller.ts";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { stateFolder } from "../core/paths.ts";
import { redact } from "../core/redact.ts";
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
  /** Of a job's begin and end; `request_id` is the job's ID then. */
  job?: string;
  /** Of a job that a schedule has submitted: the schedule's name. */
  schedule?: string;
  /** unknown: the server ended before the call did. From "submitted" on a job's, the last two a console's. */
  result:
    | ("done" | "failed" | "refused" | "unknown")
    | ("submitted" | "started" | "taken over" | "cancelled")
    | ("opened" | "closed");
  status: number | null;
  code?: string;
  error?: string;
  /** Of a console that is closed: bytes of the caller's, and of the guest's. */
  bytes_in?: number;
  bytes_out?: number;
  /** `host/name` of what its query stood for. */
  selected?: string[];
  /** Of a batch: how many. */
  successful?: number;
  failed?: number;
  duration_ms: number;
}

const waiting: string[] = [];
/** The last line may have been written in part. */
let torn = false;

export const auditFile = () => settings().audit.file ?? `${stateFolder()}/audit.jsonl`;

export function audit(entry: Entry) {
  // refused calls may be many, and the server's log has them: none is kept while the file cannot be written
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

/** Creates the file if it does not exist; throws when it cannot be written. */
export function openAudit() {
  mkdirSync(dirname(auditFile()), { recursive: true, mode: 0o700 });
  append("");
}

/** Opened each time, so that rotation needs no signal. */
const append = (text: string) => appendFileSync(auditFile(), text, { mode: 0o600 });

function flush() {
  if (waiting.length === 0) return;
  const text = `${torn ? "\n" : ""}${waiting.join("")}`;
  torn = true;
  append(text);
  torn = false;
  waiting.length = 0;
}
