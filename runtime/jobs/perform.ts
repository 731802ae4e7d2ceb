/** The life of one attempt: take over what a dead worker left, call the function, undo what was cancelled. */
import { setTimeout as sleep } from "node:timers/promises";
import { isLost } from "../core/errors.ts";
import type { Attempt } from "./attempt.ts";
import { freeCopyPlaces } from "./copies.ts";
import type { Answer, State } from "./job.ts";
import { forgetMade, isKept, type Made, readMade } from "./journal.ts";
import type { Runner } from "./runner.ts";

/** A job at which so many workers have died is what kills them. */
const MAX_DEATHS = 5;
/** A job that loses its hypervisor so often may be what kills libvirtd. */
const MAX_ATTEMPTS = 5;
const PAUSE_MS = 2000;

export interface Outcome {
  state: State;
  answer: Answer;
}

/** Undefined where the job is no longer this worker's, or is given back. */
export async function perform(attempt: Attempt, runner: Runner): Promise<Outcome | undefined> {
  const { job, takenOver } = attempt;
  runner.report(attempt, takenOver ? "taken over" : "started");
  if (takenOver) {
    attempt.note("warn", `the worker ${job.worker} took the job over from one that fell silent`);
    const over = await takeOver(attempt, runner);
    if (over || attempt.stopped === "lost") return over;
  }
  if (job.state === "cancelling") attempt.stop("cancelled");
  const answer = attempt.stopped ? undefined : await runner.run(attempt);
  if (attempt.stopped === "lost") return undefined;
  const done = answer !== undefined && answer.status < 400;
  if (answer && !done && !attempt.stopped && (await isForLater(attempt, runner, answer))) {
    attempt.note("warn", `${answer.body.error}; the job begins again when the hypervisor is there`);
    attempt.stop("again");
  }
  if (attempt.stopped && !done) return endStopped(attempt, runner, answer);
  if (!answer) return undefined;
  const left = attempt.unfinished.size > 0 ? await undo(attempt, runner, isUnfinished) : [];
  return { state: done ? "completed" : "failed", answer: done ? answer : withLeft(answer, left) };
}

/** Its hypervisor was lost, and what may be done again once nothing is left of it is done again. */
const isForLater = async ({ job }: Attempt, runner: Runner, { body }: Answer) =>
  isLost(body.code) &&
  job.attempt < MAX_ATTEMPTS &&
  (await runner.isRepeatable(job)) &&
  !(await readMade(job.id)).some(isKept);

const isUnfinished = ({ complete }: Made) => !complete;

/**
 * What cannot be done again stays as far as it is complete: the source of a clone may be gone by then. `kept`: the
 * operations whose domain somebody may use already, since the job waits for its guest.
 */
async function undoStopped(attempt: Attempt, runner: Runner) {
  const running = await patiently(attempt, () => runner.endPrograms(attempt.job));
  const kept = (await readMade(attempt.job.id)).filter(isKept).map(({ operation }) => operation);
  const isWhole = kept.length === 0 && (await runner.isRepeatable(attempt.job));
  const left = await undo(attempt, runner, isWhole ? () => true : isUnfinished);
  return { isWhole, left: [...left, ...running], kept };
}

/** The job was cancelled, is to be done again, or this worker ends. */
async function endStopped(attempt: Attempt, runner: Runner, answer: Answer | undefined) {
  const { isWhole, left, kept } = await undoStopped(attempt, runner);
  if (attempt.stopped === "lost") return undefined;
  if (attempt.stopped === "cancelled") {
    const told = isWhole ? undefined : answer;
    return cancelled(runner, { left, kept }, told);
  }
  if (isWhole && left.length === 0) return undefined; // given back
  const isOwn = answer && attempt.stopped === "again";
  return {
    state: "failed" as const,
    answer: isOwn ? withLeft(answer, left) : unknown(runner, { left, kept }, answer),
  };
}

/** Removes what the dead attempt has made. Resolves to the job's end where it may not be done again. */
async function takeOver(attempt: Attempt, runner: Runner): Promise<Outcome | undefined> {
  const { job } = attempt;
  const { isWhole, left, kept } = await undoStopped(attempt, runner);
  await freeCopyPlaces(job);
  if (attempt.stopped === "lost") return undefined;
  if (job.state === "cancelling") return cancelled(runner, { left, kept });
  if (isWhole && left.length === 0 && job.deaths < MAX_DEATHS) return undefined;
  return { state: "failed", answer: unknown(runner, { left, kept }) };
}

interface Rest {
  left: string[];
  kept: string[];
}

const stays = (kept: string[]) =>
  kept.length > 0 ? `; what it had made before it waited stays: ${kept.join(", ")}` : "";

/** `told`: what the attempt itself says of the domains, such as their UUIDs. */
function unknown(runner: Runner, { left, kept }: Rest, told?: Answer): Answer {
  const why = "the worker ended in the middle of the job, so that its outcome is unknown";
  const look = "look at the present state before you submit it again";
  const answer = runner.failure("outcome_unknown", `${why}${stays(kept)}; ${look}`, left);
  return kept.length > 0 ? { ...answer, body: { ...told?.body, ...answer.body, kept } } : answer;
}

/** An answer that tells what was done before stays, unless something is left. */
export function cancelled(
  runner: Runner,
  { left, kept }: Rest = { left: [], kept: [] },
  told?: Answer,
): Outcome {
  if (told?.body.code === "cancelled" && left.length === 0)
    return { state: "cancelled", answer: told };
  const rest = left.length > 0 ? `; left behind: ${left.join(", ")}` : "";
  const answer = runner.failure("cancelled", `the job was cancelled${rest}${stays(kept)}`, left);
  return { state: "cancelled", answer };
}

function withLeft(answer: Answer, left: string[]): Answer {
  if (left.length === 0 || answer.body.left) return answer;
  const error = `${answer.body.error}; left behind: ${left.join(", ")}`;
  return { ...answer, body: { ...answer.body, error, left } };
}

/** Removes what was made and is to go. What is kept is named, too. */
async function undo(attempt: Attempt, runner: Runner, goes: (made: Made) => boolean) {
  const made = await readMade(attempt.job.id);
  const left = await patiently(attempt, () => runner.remove(attempt.job, made.filter(goes)));
  const isMidway = attempt.stopped || attempt.takenOver;
  const kept = isMidway ? made.filter((one) => !goes(one) && !isKept(one)) : [];
  if (attempt.stopped !== "lost") await forgetMade(attempt.job.id);
  return [...left, ...kept.map(({ operation }) => `${operation}, complete`)];
}

/** Tries until the hypervisor can be reached, or the job is another worker's. */
async function patiently(attempt: Attempt, work: () => Promise<string[]>): Promise<string[]> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (attempt.stopped === "lost") return [];
      attempt.note("warn", `the hypervisor cannot be cleaned up yet: ${(error as Error).message}`);
      await sleep(PAUSE_MS);
    }
  }
}
