/** Looking at many jobs: pages, and what bounds the work and the memory of one look. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { boss, stopBoss } from "../../../runtime/jobs/boss.ts";
import { queryJobs } from "../../../runtime/jobs/query.ts";
import { submitJobs } from "../../../runtime/jobs/submit.ts";
import { query } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { wanted } from "../../fixtures/jobs.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";

const state = folderOf(me());
process.env.XDG_STATE_HOME = state;

beforeAll(() => boss(), slow(120_000));
beforeEach(() => query("TRUNCATE job CASCADE"));
afterAll(async () => {
  await stopBoss();
  await closeDatabase();
  rmSync(state, { recursive: true });
});

const MIB = 1024 * 1024;
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** All pages, by their cursors. */
async function pages(limit: number) {
  const found: { ids: string[]; total: number; bytes: number }[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await queryJobs({}, undefined, { limit, cursor });
    const bytes = JSON.stringify(page.jobs).length;
    found.push({ ids: page.jobs.map(({ id }) => id), total: page.total, bytes });
    if (page.cursor === null) return found;
    cursor = page.cursor;
  }
}

test("pages have each job once, the newest first, and the last has no cursor", async () => {
  const ids = (await submitJobs(range(7).map(() => wanted()))).map(({ id }) => id).reverse();
  for (const limit of [1, 3, 7, 100]) {
    const found = await pages(limit);
    expect(found.flatMap((page) => page.ids)).toEqual(ids);
    expect(found).toHaveLength(Math.ceil(7 / limit));
    for (const { total } of found) expect(total).toBe(7);
  }
});

test("a page of jobs with large inputs and answers ends early, and the next one goes on", async () => {
  const large = "x".repeat(MIB);
  const ids = [];
  for (const _ of range(20)) ids.unshift((await submitJobs([wanted({ input: { large } })]))[0]?.id);
  await query(
    "UPDATE job SET answer = json_build_object('status', 200, 'body', json_build_object('data', repeat('y', 1048576)))",
  );
  const found = await pages(1000);
  expect(found.flatMap((page) => page.ids)).toEqual(ids);
  for (const { bytes, ids } of found) {
    expect(ids.length).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(11 * MIB);
  }
});

test("a look that takes too long is given up, and says how to ask for less; two at once leave connections to others", {
  timeout: slow(60_000),
}, async () => {
  await submitJobs([wanted()]);
  await query("ALTER TABLE job RENAME TO job_itself");
  await query("CREATE VIEW job AS SELECT job_itself.* FROM job_itself, pg_sleep(30)");
  try {
    const looks = range(6).map(() =>
      queryJobs({}, undefined, { limit: 10 }).catch((error) => error),
    );
    await Bun.sleep(500);
    const other = query("SELECT 'another call' AS code");
    expect((await Promise.race([other, ...looks])).rows).toEqual([{ code: "another call" }]);
    const [first, second, ...others] = await Promise.all(looks);
    for (const { code, message } of [first, second])
      expect([code, message]).toEqual(["timed_out", expect.stringMatching(/ask for less/)]);
    for (const { code } of others) expect(["timed_out", "busy"]).toContain(code);
  } finally {
    await query("DROP VIEW job");
    await query("ALTER TABLE job_itself RENAME TO job");
  }
});
