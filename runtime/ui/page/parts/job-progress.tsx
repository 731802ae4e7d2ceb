/** How far a job is, and the button that cancels it. */
import { act } from "../state/act.ts";
import { call } from "../state/client.ts";
import { bytes, percent, seconds } from "../state/format.ts";
import { type Job, titleOf } from "../state/jobs.ts";
import { ActButton } from "./act-button.tsx";
import { Meter } from "./meter.tsx";

export const cancel = (job: Job) =>
  act(
    job.id,
    async () => {
      const { errors } = await call("POST /jobs/cancel", { job_ids: [job.id] });
      const refused = errors[job.id];
      if (refused) throw new Error(refused.error);
    },
    `${titleOf(job)} is being cancelled`,
  );

export function JobProgress({ job }: { job: Job }) {
  const { progress, state, waiting_for } = job;
  const title = titleOf(job);
  const told = [
    state === "running" ? (progress.phase ?? "at work") : state,
    progress.percent !== null && percent(progress.percent),
    progress.bytes !== null &&
      progress.total !== null &&
      `${bytes(progress.bytes)} of ${bytes(progress.total)}`,
    progress.seconds_left !== null && `${seconds(progress.seconds_left)} left`,
    waiting_for,
  ].filter(Boolean);
  return (
    <div class="job-progress">
      <div class="job-line">
        <strong>{title}</strong>
        <ActButton
          needs="/jobs/cancel"
          of={job.id}
          label={`Cancel ${title}`}
          isDisabled={job.cancel_requested}
          onClick={() => void cancel(job)}
        >
          Cancel
        </ActButton>
      </div>
      <Meter percent={progress.percent ?? 0} label={`Progress of ${title}`} />
      <p class="hint">{told.join(" · ")}</p>
    </div>
  );
}
