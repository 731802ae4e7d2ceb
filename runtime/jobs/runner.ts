/** What a worker needs of the rooms above: it knows jobs, but neither functions nor hypervisors. */
import type { Attempt } from "./attempt.ts";
import type { Answer, Job, NewJob, State } from "./job.ts";
import type { Made } from "./journal.ts";
import type { Schedule } from "./schedule.ts";

export interface Runner {
  /** Whether this process can reach a hypervisor now. */
  reaches(host: string): Promise<boolean>;
  /** Calls the function; resolves to the answer that a synchronous call would get, failures included. */
  run(attempt: Attempt): Promise<Answer>;
  /** Whether a job may be done again after a crash, once everything that it had made is removed. */
  isRepeatable(job: Job): Promise<boolean>;
  /** Ends what an attempt still runs on the hypervisor; resolves to what still runs. Throws while it cannot be reached. */
  endPrograms(job: Job): Promise<string[]>;
  /** Removes what was made; resolves to what is left and why, in words. Throws while it cannot be reached. */
  remove(job: Job, made: Made[]): Promise<string[]>;
  /** The answer of a failure with this code. */
  failure(code: "outcome_unknown" | "cancelled", message: string, left?: string[]): Answer;
  /** The job of a schedule's time, with the present rights of who made it. Throws `forbidden` and `invalid_input`. */
  prepare(schedule: Schedule): Promise<NewJob>;
  /** For the audit log: a schedule has submitted a job. */
  submitted(job: Job): void;
  /** For the audit log and metrics. */
  report(attempt: Attempt, event: "started" | "taken over" | State, answer?: Answer): void;
}
