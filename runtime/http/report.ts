/** The end of a call in the log, in the metrics and in the audit log. */
import { describeCaller, identityOf } from "../access/caller.ts";
import { hostedDomains } from "../access/domain-scope.ts";
import { observer } from "../events/bus.ts";
import { publish } from "../events/hub.ts";
import { audit, type Entry } from "./audit.ts";
import type { Call } from "./call.ts";
import { knownError } from "./envelope.ts";

const REFUSED = [401, 403];

export function reportAnswer(call: Call, status: number, error?: Error) {
  const { code, message } = error ? knownError(error) : { code: undefined, message: "" };
  const ms = elapsed(call);
  const { path } = call;
  observer.request?.(call.spec && path, status, ms);
  const level = call.changes || REFUSED.includes(status) ? "info" : "debug";
  if (level === "info" || ["debug", "trace"].includes(call.log.level)) {
    const who = call.caller && describeCaller(call.caller);
    const { method, host, address } = call;
    const fields = { method, path, host, status, code, ms, who, address };
    call.log[level](fields, `${method} ${path} ${status}`);
  }
  const refused = REFUSED.includes(status) || code === "audit_failed";
  const result = status < 400 && !error ? "done" : refused ? "refused" : "failed";
  record(call, { result, status, ...(code && { code, error: message }), duration_ms: ms });
}

/** For a call that the end of the process cuts off: its outcome is unknown. */
export function reportUnknown(call: Call) {
  record(call, { result: "unknown", status: null, duration_ms: elapsed(call) });
}

/** `host/name` of the domains that the call has selected by a query. */
function selectedBy({ data }: Call): string[] {
  const { selected } = (data ?? {}) as { selected?: { domains?: string[] } };
  return selected?.domains ?? [];
}

const elapsed = ({ began }: Call) => Math.round((performance.now() - began) * 10) / 10;

type Outcome = Pick<Entry, "result" | "status" | "duration_ms"> & Partial<Entry>;

/** Only changes are audited, and only those of known callers. */
function record(call: Call, outcome: Outcome) {
  if (!call.changes || !call.caller) return;
  const { kind, name } = call.caller;
  const { successful, failed } = (call.data ?? {}) as { successful?: unknown; failed?: unknown };
  const selected = selectedBy(call);
  tell(call, outcome);
  audit({
    time: call.time.toISOString(),
    request_id: call.id,
    who: { kind, name },
    address: call.address,
    function: call.path,
    host: call.host,
    arguments: call.input,
    ...outcome,
    ...(selected.length > 0 && { selected }),
    ...(typeof failed === "number" && { successful: Number(successful), failed }),
  });
}

/** Those who follow what happens hear of changes, also of those that may have failed halfway. */
function tell(call: Call, { result, code, error }: Outcome) {
  const { spec, input, path, host, caller } = call;
  if (result === "refused" || !spec || !caller) return;
  const named = [...hostedDomains(spec, (input ?? {}) as object), ...selectedBy(call)];
  const hostOf = (one: string) => /^([^/]*)\//.exec(one)?.[1] ?? host;
  for (const at of new Set(named.length > 0 ? named.map(hostOf) : [host])) {
    const own = named.filter((one) => hostOf(one) === at);
    publish({
      kind: "call",
      host: at,
      object: path,
      event: result,
      detail: error ?? null,
      domains: own.map((one) => one.replace(/^[^/]*\//, "")),
      request_id: call.id,
      who: identityOf(caller),
      ...(code && { code }),
    });
  }
}
