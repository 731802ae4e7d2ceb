/** Jobs: those at work with their progress, and those that have ended. */

import { JobProgress } from "../parts/job-progress.tsx";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { call } from "../state/client.ts";
import { when } from "../state/format.ts";
import { type Job, jobChanges, openJobs, titleOf } from "../state/jobs.ts";
import { useRead } from "../state/use-read.ts";

export function JobsView() {
  const open = openJobs.value;
  const jobs = useRead(
    (signal) => call("GET /jobs/query", { limit: 100 }, { signal }),
    [jobChanges.value],
  );
  const ended = (all: Job[]) => all.filter(({ ended_at }) => ended_at !== null);
  return (
    <>
      <ViewHead
        title="Jobs"
        note={open.length > 0 ? `${open.length} at work or waiting` : "None is at work"}
      />
      {open.length > 0 && (
        <section class="card" aria-label="At work">
          {open.map((job) => (
            <JobProgress key={job.id} job={job} />
          ))}
        </section>
      )}
      <section class="card">
        <h2>Ended</h2>
        <Reading
          of={jobs}
          empty={(data) => (ended(data.jobs).length === 0 ? "No job has ended." : undefined)}
        >
          {(data) => (
            <WideTable
              label="Jobs that have ended"
              columns={["Job", "State", "Hypervisor", "By", "Begun", "Ended"]}
            >
              {ended(data.jobs).map((job) => (
                <EndedRow key={job.id} job={job} />
              ))}
            </WideTable>
          )}
        </Reading>
      </section>
    </>
  );
}

function EndedRow({ job }: { job: Job }) {
  const { error } = (job.error ?? {}) as { error?: string };
  return (
    <tr>
      <th scope="row">
        {titleOf(job)}
        {error && job.state === "failed" && <p class="hint">{error}</p>}
      </th>
      <td>
        <StateBadge state={job.state} />
      </td>
      <td>{job.host}</td>
      <td>{job.submitter.name}</td>
      <td>{when(job.started_at)}</td>
      <td>{when(job.ended_at)}</td>
    </tr>
  );
}
