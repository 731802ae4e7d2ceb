/** An alert rule: what it is about, and its row in the database. */
import * as z from "zod";
import { parseDuration } from "../core/duration.ts";
import type { Selected } from "../http/selection.ts";
import { RECEIVER_NAMES } from "../notifications/receivers.ts";

export const CONDITIONS = [
  "domain_crashed",
  "domain_paused_io",
  "host_unreachable",
  "storage_usage",
  "cpu_usage",
  "memory_usage",
  "failed_jobs",
  "schedule_missed",
] as const;
export type Condition = (typeof CONDITIONS)[number];

/** Those that compare a share in percent with a threshold. */
export const PERCENT: Condition[] = ["storage_usage", "cpu_usage", "memory_usage"];

const LONGEST_SECONDS = 30 * 86_400;

export const Duration = z
  .union([z.number(), z.string()])
  .transform((given) => (typeof given === "number" ? given : parseDuration(given)))
  .refine((seconds) => seconds !== undefined && seconds >= 0 && seconds <= LONGEST_SECONDS, {
    message: "must be seconds, or a duration such as 90s, 5m, 1h30m, of 30 days at most",
  })
  .transform((seconds) => seconds ?? 0)
  .meta({ description: "seconds, or such as 90s, 5m, 1h30m" });

/** Of failed_jobs: in no time nothing fails. */
export const Period = Duration.refine((seconds) => seconds >= 1, "must be a second at least");

/** Those that are about domains, which a query can select. */
export const OF_DOMAINS: Condition[] = [
  "domain_crashed",
  "domain_paused_io",
  "cpu_usage",
  "memory_usage",
];

export const RuleName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be up to 100 letters, digits, ".", "_" and "-"')
  .describe("a rule's name");

export const Actions = z
  .array(z.enum(RECEIVER_NAMES))
  .describe("who is told; all receivers that get alerts unless given");

/** Of failed_jobs. */
export interface FailedJobs {
  count: number;
  /** Seconds. */
  period: number;
}

export interface Rule {
  name: string;
  condition: Condition;
  /** Percent, `FailedJobs`, or null where the condition has none. */
  threshold: number | FailedJobs | null;
  for_seconds: number;
  /** So much less than the threshold ends an alert. */
  hysteresis: number;
  enabled: boolean;
  /** Aliases of hypervisors; none for all. */
  hosts: string[];
  /** Patterns of names; none for all. */
  objects: string[];
  /** A query, in the place of `objects`: it is about the domains that match. */
  selects: string | null;
  actions: string[];
  metadata: Record<string, unknown>;
  silence_until: string | null;
}

/** A rule as the database has it. */
export interface StoredRule extends Rule {
  created_at: string;
  created_by: string;
  state: "ok" | "pending" | "firing";
  /** Since when it is in that state. */
  since: string;
  /** The highest that was measured. */
  last_value: number | null;
  evaluated_at: string | null;
  /** What `selects` stood for when it was last measured. */
  selected: Selected | null;
  /** Why a part of it could not be measured. */
  error: string | null;
}

/** An object that a rule waits for or fires about. */
export interface Alert {
  host: string;
  object: string;
  state: "pending" | "firing";
  /** RFC 3339. */
  since: string;
  value: number | null;
  detail: string;
  /** Whether receivers know that it fires. */
  told: boolean;
}
