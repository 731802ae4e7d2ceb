/**
 * What becomes of an alert with a measurement:
 *
 * | before  | beyond the threshold            | between            | below the hysteresis, or gone |
 * |---------|---------------------------------|--------------------|-------------------------------|
 * | ok      | pending; firing where for is 0  | ok                 | ok                            |
 * | pending | firing, after its time          | ok                 | ok                            |
 * | firing  | firing                          | firing             | ok                            |
 *
 * Nothing changes where it could not be measured. Receivers are told of firing once, when the rule is not silenced, and
 * of the end once, if they know of the begin.
 */
import type { Reading } from "./reading.ts";
import { type Alert, type FailedJobs, PERCENT, type Rule } from "./rule.ts";

export interface Step {
  /** Undefined: ok. */
  alert: Alert | undefined;
  tells?: "firing" | "resolved";
}

/** `reading` is undefined for an object that is not there any more. */
export function step(
  rule: Rule,
  before: Alert | undefined,
  reading: Reading | undefined,
  now: Date,
): Step {
  if (reading?.value === null) return tell(rule, before, now);
  const { isBeyond, isClear } = judge(rule, reading);
  const given = reading && { value: reading.value, detail: reading.detail };
  const goes = before?.state === "firing" ? !isClear : isBeyond;
  if (!goes) return { alert: undefined, ...(before?.told && { tells: "resolved" }) };
  const { host = "", object = "" } = reading ?? {};
  const since = before?.since ?? now.toISOString();
  const alert: Alert = { host, object, state: "pending", since, ...before, ...given } as Alert;
  if (before?.told === undefined) alert.told = false;
  if (alert.state === "pending" && now.getTime() - Date.parse(since) >= rule.for_seconds * 1000) {
    return tell(rule, { ...alert, state: "firing", since: now.toISOString() }, now);
  }
  return tell(rule, alert, now);
}

function tell({ silence_until }: Rule, alert: Alert | undefined, now: Date): Step {
  const isSilent = silence_until !== null && Date.parse(silence_until) > now.getTime();
  if (alert?.state !== "firing" || alert.told || isSilent) return { alert };
  return { alert: { ...alert, told: true }, tells: "firing" };
}

/** Percent are beyond when more, counts when as many; what is so or not so has the value 1 or 0. */
function judge({ condition, threshold, hysteresis }: Rule, reading: Reading | undefined) {
  const value = reading?.value;
  if (value === undefined || value === null) return { isBeyond: false, isClear: true };
  const isPercent = PERCENT.includes(condition);
  const limit = condition === "failed_jobs" ? (threshold as FailedJobs).count : 1;
  const bound = isPercent ? Number(threshold) : limit;
  const beyond = (edge: number) => (isPercent ? value > edge : value >= edge);
  return { isBeyond: beyond(bound), isClear: !beyond(bound - hysteresis) };
}
