/** What receivers read of an alert. */
import { oneLine } from "../notifications/message.ts";
import type { NewMessage } from "../notifications/outbox.ts";
import type { Reading } from "./reading.ts";
import type { Alert, Condition, Rule } from "./rule.ts";
import type { Step } from "./step.ts";

const OBJECTS: Record<Condition, string> = {
  domain_crashed: "domain",
  domain_paused_io: "domain",
  host_unreachable: "hypervisor",
  storage_usage: "pool",
  cpu_usage: "domain",
  memory_usage: "domain",
  failed_jobs: "",
  schedule_missed: "schedule",
};

/** Of these, one that is off is not measured. */
const RUNNING: Condition[] = ["cpu_usage", "memory_usage"];

/** `before` and `reading` are of an alert that has ended. */
export function messageOf(
  rule: Rule,
  { alert, tells }: Step,
  before: Alert | undefined,
  reading: Reading | undefined,
): NewMessage {
  const about = (alert ?? before) as Alert;
  const { host, object } = about;
  const kind = OBJECTS[rule.condition];
  const place = object && host ? ` on ${host}` : "";
  const name = oneLine(`${kind} ${object || host}${place}`);
  const gone = RUNNING.includes(rule.condition) ? "does not run any more" : "is not there any more";
  const ended = reading ? "is well again" : gone;
  const detail =
    tells === "firing" ? about.detail : `${ended}${before ? ` (it ${before.detail})` : ""}`;
  const word = tells === "firing" ? "firing" : "resolved";
  return {
    type: `alert.${word}`,
    ...(rule.actions.length > 0 && { receivers: rule.actions }),
    data: {
      title: oneLine(`[${word}] ${rule.name}: ${name} ${detail}`),
      text: `${name} ${oneLine(detail, 2000)}\nrule ${rule.name}: ${rule.condition}${boundOf(rule)}`,
      ...{ rule: rule.name, condition: rule.condition, threshold: rule.threshold },
      ...{ host: host || null, object: object || null, state: word },
      value: reading ? reading.value : null,
      since: new Date(about.since).toISOString(),
      ...{ detail, metadata: rule.metadata },
    },
  };
}

const boundOf = ({ threshold }: Rule) =>
  threshold === null ? "" : `, threshold ${JSON.stringify(threshold)}`;
