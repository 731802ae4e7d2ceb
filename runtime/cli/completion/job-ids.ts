/** The IDs of jobs for completion. */
import { type Target, typedCaller } from "../target.ts";
import { inTime } from "./names.ts";

const MOST = 50;

/** The newest ones. A Tab starts no PostgreSQL. */
export async function jobIds({ server, token }: Target) {
  const [{ settings }, { embeddedRuns }] = await Promise.all([
    import("../../core/settings.ts"),
    import("../../store/embedded.ts"),
  ]);
  if (!server && !settings().database.url && !embeddedRuns()) return [];
  const call = await typedCaller({ server, token });
  const { jobs } = await inTime(call("GET /jobs/query", { limit: MOST }));
  return jobs.map((job) => ({ value: job.id, note: `${job.state} ${job.function.slice(1)}` }));
}
