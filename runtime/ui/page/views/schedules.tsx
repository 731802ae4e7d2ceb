/** Schedules, with their next times and their last results. */

import type { Data } from "../../../client/client.ts";
import { ConfirmDialog } from "../dialogs/confirm.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { act } from "../state/act.ts";
import { call } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { plural, UNKNOWN, when } from "../state/format.ts";
import { jobChanges } from "../state/jobs.ts";
import { useRead } from "../state/use-read.ts";

type Schedule = Data<"GET /schedules/list">["schedules"][number];

export function SchedulesView() {
  const schedules = useRead(
    (signal) => call("GET /schedules/list", {}, { signal }),
    [jobChanges.value],
  );
  return (
    <>
      <ViewHead
        title="Schedules"
        note={schedules.data && plural(schedules.data.total, "schedule")}
      />
      <Reading
        of={schedules}
        empty={({ total }) =>
          total === 0 ? "There is no schedule. POST /schedules/create makes one." : undefined
        }
      >
        {(data) => (
          <WideTable
            label="Schedules"
            isAlone
            columns={["Name", "What it does", "When", "Next time", "Last result"]}
            hasActions
          >
            {data.schedules.map((schedule) => (
              <ScheduleRow key={schedule.name} schedule={schedule} reload={schedules.reload} />
            ))}
          </WideTable>
        )}
      </Reading>
    </>
  );
}

function ScheduleRow({ schedule, reload }: { schedule: Schedule; reload: () => void }) {
  const { name, job_template, cron_expr, timezone, enabled, next_runs, last_result, last_run } =
    schedule;
  const of = `schedule ${name}`;
  const turn = enabled ? "disable" : "enable";
  const does = async (work: () => Promise<unknown>, done: string) => {
    if (await act(of, work, done)) reload();
  };
  const remove = () =>
    openDialog(
      <ConfirmDialog
        title={`Delete schedule ${name}?`}
        action="Delete schedule"
        of={of}
        work={() => call("POST /schedules/delete", { name })}
        done={`Schedule ${name} is deleted`}
        after={reload}
      >
        <p>It makes no more jobs. The jobs that it has made stay.</p>
      </ConfirmDialog>,
    );
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        {job_template.function} on {job_template.host}
      </td>
      <td>
        <code>{cron_expr}</code> {timezone}
      </td>
      <td>{enabled ? when(next_runs[0]) : <StateBadge state="disabled" />}</td>
      <td>
        {last_result ? <StateBadge state={last_result} /> : UNKNOWN}
        {schedule.last_reason && <p class="hint">{schedule.last_reason}</p>}
        {last_run && <p class="hint">{when(last_run)}</p>}
      </td>
      <td class="row-buttons">
        <ActButton
          needs="/schedules/trigger"
          of={of}
          label={`Run now: ${name}`}
          onClick={() =>
            void does(() => call("POST /schedules/trigger", { name }), `${name} has made a job`)
          }
        >
          Run now
        </ActButton>
        <ActButton
          needs={`/schedules/${turn}`}
          of={of}
          label={`${enabled ? "Disable" : "Enable"} ${name}`}
          onClick={() =>
            void does(() => call(`POST /schedules/${turn}`, { name }), `${name} is ${turn}d`)
          }
        >
          {enabled ? "Disable" : "Enable"}
        </ActButton>
        <ActButton
          needs="/schedules/delete"
          of={of}
          label={`Delete schedule ${name}`}
          onClick={remove}
        >
          Delete …
        </ActButton>
      </td>
    </tr>
  );
}
