/** The schema `hypersdk`: numbered changes, each applied once, in order, and never edited afterwards. */
import type { Pool, PoolClient } from "pg";
import { unavailable } from "./errors.ts";
import versions from "./migrations/001-versions.ts";
import jobs from "./migrations/002-jobs.ts";
import jobFunctions from "./migrations/003-job-functions.ts";
import schedules from "./migrations/004-schedules.ts";
import notifications from "./migrations/005-notifications.ts";
import jobEvents from "./migrations/006-job-events.ts";
import alertRules from "./migrations/007-alert-rules.ts";
import organization from "./migrations/008-organization.ts";
import submitters from "./migrations/009-submitters.ts";
import alertSelections from "./migrations/010-alert-selections.ts";

/** The first is version 1. SQL as text, so that a bundle carries it. */
export const MIGRATIONS = [
  versions,
  jobs,
  jobFunctions,
  schedules,
  notifications,
  jobEvents,
  alertRules,
  organization,
  submitters,
  alertSelections,
];

/** Any number that no other program is likely to use: "hyper" in ASCII. */
export const LOCK = 0x6879706572;
/** The lock is waited for as long, too. */
const TIMEOUT_MS = 600_000;

/** Brings the schema up to date. Throws `function_unavailable` for one that a newer program has made. */
export async function migrate(pool: Pool, migrations = MIGRATIONS): Promise<void> {
  const client = await pool.connect();
  let failed: Error | undefined;
  try {
    if (upToDate(await versionOf(client), migrations)) return;
    for (const [index, sql] of migrations.entries())
      await apply(client, index + 1, sql, migrations);
  } catch (error) {
    failed = error as Error;
    throw error;
  } finally {
    client.release(failed); // a connection with an open transaction is not used again
  }
}

/** Another process may have applied it while this one waited for the lock. */
async function apply(client: PoolClient, version: number, sql: string, migrations: string[]) {
  await client.query("BEGIN");
  await client.query(`SET LOCAL statement_timeout = ${TIMEOUT_MS}`);
  await client.query({ text: "SELECT pg_advisory_xact_lock($1)", values: [LOCK], ...patient });
  const current = await versionOf(client);
  if (!upToDate(current, migrations) && current === version - 1) {
    await client.query("CREATE SCHEMA IF NOT EXISTS hypersdk");
    await client.query({ text: sql, ...patient });
    await client.query("INSERT INTO hypersdk.migrations (version) VALUES ($1)", [version]);
  }
  await client.query("COMMIT");
}

const patient = { query_timeout: TIMEOUT_MS };

/** The catalog is read by a snapshot: `to_regclass` would tell from a cache what was so before the lock was waited for. */
async function versionOf(client: PoolClient): Promise<number> {
  const table = "FROM pg_tables WHERE schemaname = 'hypersdk' AND tablename = 'migrations'";
  if ((await client.query(`SELECT 1 ${table}`)).rowCount === 0) return 0;
  const newest = "SELECT coalesce(max(version), 0) AS version FROM hypersdk.migrations";
  return (await client.query<{ version: number }>(newest)).rows[0]?.version ?? 0;
}

function upToDate(version: number, { length }: string[]): boolean {
  if (version <= length) return version === length;
  throw unavailable(
    `its schema has version ${version}, which is newer than this server, which knows ${length}; update this server`,
  );
}
