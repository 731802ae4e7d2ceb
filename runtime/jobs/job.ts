/** A job: the call of a function that runs in the background. Its row in the database, and the states it goes through. */
import type { Caller } from "../access/caller.ts";

/**
 * queued → running → completed or failed. A job that is cancelled while it runs is cancelling until the hypervisor
 * has nothing left of it.
 */
export const STATES = [
  "queued",
  "running",
  "cancelling",
  "completed",
  "failed",
  "cancelled",
] as const;
export type State = (typeof STATES)[number];

export const ENDED: State[] = ["completed", "failed", "cancelled"];

/** How far a job is. Null where nobody knows. */
export interface Progress {
  phase: string | null;
  /** 0 to 100; never falls. */
  percent: number | null;
  bytes: number | null;
  total: number | null;
  /** Percent a second over the last minute; null while it is unknown. */
  rate: number | null;
  seconds_left: number | null;
}

export const NO_PROGRESS: Progress = {
  phase: null,
  percent: null,
  bytes: null,
  total: null,
  rate: null,
  seconds_left: null,
};

/** What the synchronous call would have answered: its HTTP status and its body. */
export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

/** What somebody wants done, validated and allowed. */
export interface NewJob {
  /** The function's path. */
  function: string;
  /** Key of the hypervisor (host-key.ts). */
  host: string;
  input: object;
  submitter: Caller;
  /** The names of the domains that the input names. */
  domains: string[];
  /** The domains that the job changes, and those that it only reads: `host/name`. */
  locks: { exclusive: string[]; shared: string[] };
  /** Higher ones start first. @default 0 */
  priority?: number;
  /** Not before then. @default now */
  runAt?: Date;
  /** The schedule that has made it. */
  schedule?: string;
  /** Submitted again by the same caller with the same key, it is the same job, for a day. */
  key?: string | undefined;
}

/** A job as the database has it. */
export interface Job {
  id: string;
  seq: string;
  function: string;
  host: string;
  input: object;
  submitter: Caller;
  domains: string[];
  state: State;
  /** It waits for a lock or a place on its hypervisor. */
  parked: boolean;
  priority: number;
  run_at: string;
  schedule: string | null;
  key: string | null;
  /** The fingerprint of what was submitted with the key. */
  request: string | null;
  /** How often it was begun. */
  attempt: number;
  /** How many workers have died at it. */
  deaths: number;
  /** The worker that has it, or had it last. */
  worker: string | null;
  created_at: string;
  started_at: string | null;
  ended_at: string | null;
  cancel_requested_at: string | null;
  cancelled_by: string | null;
  progress: Progress | null;
  answer: Answer | null;
}
