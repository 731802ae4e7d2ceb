/** Jobs that end are told of, in the transaction that ends them. */
import type { PoolClient } from "pg";
import {
  type MessageData,
  oneLine,
  shorten,
  TEXT_BYTES,
  type Type,
} from "../notifications/message.ts";
import { anyWants, storeMessages } from "../notifications/outbox.ts";
import { aliasOf } from "./host-key.ts";
import type { Job } from "./job.ts";
import { utcOrNull } from "./view.ts";

const TYPES: Type[] = ["job.completed", "job.failed", "job.cancelled"];
const READ = "SELECT row_to_json(job) AS job FROM job WHERE id = ANY ($1) ORDER BY seq";

/** Of jobs that have ended in this transaction. Where nobody wants to know it costs one look. */
export async function announceEnds(client: PoolClient, ids: string[]) {
  if (ids.length === 0 || !(await anyWants(client, TYPES))) return;
  const { rows } = await client.query<{ job: Job }>(READ, [ids]);
  const messages = rows.map(({ job }) => ({
    type: `job.${job.state}` as Type,
    data: describe(job),
  }));
  await storeMessages(client, messages);
}

/** A batch may have failed for a thousand reasons, after which the job's ID is still to be read. */
const ERROR_BYTES = TEXT_BYTES - 1000;

/** Without the job's input, of which a receiver needs to know nothing. */
function describe(job: Job): MessageData {
  const { id, function: path, state, domains, schedule, submitter, answer } = job;
  const host = aliasOf(job.host);
  const error = state === "completed" ? null : `${answer?.body.error ?? "no reason is known"}`;
  return {
    title: oneLine(`Job ${path} on ${host} ${state}${domains[0] ? `: ${domains.join(", ")}` : ""}`),
    text: [error && shorten(error, ERROR_BYTES), `job ${id}`].filter(Boolean).join("\n"),
    ...{ id, function: path, host, state, domains, schedule, error },
    code: (answer?.body.code as string | undefined) ?? null,
    submitter: { kind: submitter.kind, name: submitter.name },
    ...{ started_at: utcOrNull(job.started_at), ended_at: utcOrNull(job.ended_at) },
  };
}
