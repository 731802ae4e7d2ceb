/** One attempt at a job, for as long as this worker has it. */
import { estimate, recent, type Sample } from "../core/eta.ts";
import type { Logger } from "../core/log.ts";
import type { ProgressUpdate } from "../core/progress.ts";
import { redact } from "../core/redact.ts";
import { timestamp } from "../core/time.ts";
import { storable } from "../store/text.ts";
import { takeCopyPlace } from "./copies.ts";
import { hostKey } from "./host-key.ts";
import type { Job, Progress } from "./job.ts";
import { keepMade, openJournal } from "./journal.ts";
import type { JobScope } from "./scope.ts";

/** A line of a job's log. */
export interface Line {
  time: string;
  level: string;
  message: string;
  fields: unknown;
}

/**
 * Why an attempt is not the job's end: the job was cancelled, this worker ends and gives it back, its hypervisor was
 * away and it is to be begun again, or another worker has taken it over.
 */
type Stop = "cancelled" | "returned" | "again" | "lost";

/** Lines that a job may keep in memory while the database is away. */
const MAX_LINES = 10_000;

export class Attempt {
  readonly job: Job;
  /** The attempt's number, by which the database knows whose job it is. */
  readonly number: number;
  /** Journals of operations that were begun and have neither been completed nor rolled back. */
  readonly unfinished = new Set<string>();
  /** A worker before this one has died at it. */
  readonly takenOver: boolean;
  readonly scope: JobScope;
  /** Not yet written to the database. */
  progress: Progress | undefined;
  lines: Line[] = [];
  #samples: Sample[] = [];
  #stopped: Stop | undefined;
  readonly #abort = new AbortController();
  readonly signal = this.#abort.signal;

  constructor(job: Job, takenOver: boolean) {
    this.job = job;
    this.takenOver = takenOver;
    this.number = job.attempt;
    const { id, worker, attempt } = job;
    const owner = { id, worker, attempt, unfinished: this.unfinished };
    this.scope = {
      id: job.id,
      openJournal: (host, operation) => openJournal(owner, host, operation),
      keep: () => keepMade(owner),
      takeCopyPlace: (host, signal) => takeCopyPlace(job, hostKey(host), signal),
    };
  }

  get stopped() {
    return this.#stopped;
  }

  /** A job that is lost stays so. */
  stop(why: Stop) {
    if (this.#stopped !== "lost") this.#stopped = why;
    this.#abort.abort();
  }

  /** A logger whose lines go to the server's log, and from level info on into the job's. */
  logger(log: Logger): Logger {
    const keep = (level: "info" | "warn" | "error") => (one: object | string, text?: string) => {
      this.note(
        level,
        typeof one === "string" ? one : `${text}`,
        typeof one === "string" ? null : one,
      );
      if (typeof one === "string") log[level](one);
      else log[level](one, `${text}`);
    };
    const kept = { info: keep("info"), warn: keep("warn"), error: keep("error") };
    const passed = { trace: log.trace.bind(log), debug: log.debug.bind(log) };
    return { level: log.level, ...passed, ...kept } as Logger;
  }

  /** What the function tells of how far it is. */
  readonly report = ({ phase, percent, bytes, total }: ProgressUpdate) => {
    const now = performance.now();
    if (typeof percent === "number")
      this.#samples = recent([...this.#samples, { at: now, done: percent }], now);
    const { rate, secondsLeft } = estimate(this.#samples, 100, now);
    const sizes = { percent: percent ?? null, bytes: bytes ?? null, total: total ?? null };
    this.progress = { phase, ...sizes, rate, seconds_left: secondsLeft };
  };

  /** Adds a line to the job's log. */
  note(level: Line["level"], message: string, fields: object | null = null) {
    if (this.lines.length >= MAX_LINES) this.lines.shift();
    const known = fields && Object.fromEntries(Object.entries(fields).filter(isPlain));
    this.lines.push({
      time: timestamp(),
      level,
      message: storable(message),
      fields: redact(known),
    });
  }
}

/** Errors are for the server's log alone, which may hold more than a caller may see. */
const isPlain = ([, value]: [string, unknown]) => !(value instanceof Error);
