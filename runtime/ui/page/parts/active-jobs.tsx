/** The jobs at work, in the corner of every view but that of the jobs. */

import { plural } from "../state/format.ts";
import { openJobs } from "../state/jobs.ts";
import { href, route } from "../state/route.ts";
import { JobProgress } from "./job-progress.tsx";

const SHOWN = 3;

export function ActiveJobs() {
  const jobs = openJobs.value;
  if (jobs.length === 0 || route.value.view === "jobs") return null;
  return (
    <aside class="active-jobs" aria-label="Jobs at work">
      {jobs.slice(0, SHOWN).map((job) => (
        <JobProgress key={job.id} job={job} />
      ))}
      {jobs.length > SHOWN && <a href={href("jobs")}>{plural(jobs.length - SHOWN, "more job")}</a>}
    </aside>
  );
}
