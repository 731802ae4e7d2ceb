/** A schedule on a real libvirtd, by the real clock. */
import { rmSync } from "node:fs";
import { afterAll, expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";
import { startServer } from "../../server.ts";

const state = folderOf(me());
const start = () => startServer({ XDG_STATE_HOME: state });
const { test, server } = labTest({ start });
afterAll(async () => {
  await virsh("vol-delete", "--pool", "default", "timed").catch(() => {});
  rmSync(state, { recursive: true });
});

const MINUTE_MS = 60_000;

test("each minute makes its job; the first makes the volume, the next one cannot", {
  timeout: slow(4 * MINUTE_MS),
}, async () => {
  const input = { pool: "default", name: "timed", capacity: "1MiB" };
  const created = await server.post("/schedules/create", {
    name: "timed",
    cron_expr: "* * * * *",
    job_template: { function: "/libvirt/volume/create", input },
  });
  expect(created.status, JSON.stringify(created.body)).toBe(201);
  const times: string[] = created.body.data.next_runs;
  const jobs = async () => (await server.get("/jobs/query?schedule=timed")).body.jobs;
  const deadline = Date.parse(times[1] as string) + slow(30_000);
  while (Date.now() < deadline && (await jobs()).filter(isEnded).length < 2) await Bun.sleep(500);
  const [second, first, ...more] = await jobs();
  expect(more).toEqual([]);
  expect(first).toMatchObject({ state: "completed", schedule: "timed" });
  expect(second).toMatchObject({ state: "failed", error: { code: "already_exists" } });
  for (const [i, job] of [first, second].entries()) {
    const late = Date.parse(job.created_at) - Date.parse(times[i] as string);
    expect(late).toBeGreaterThanOrEqual(0);
    expect(late).toBeLessThan(slow(5000));
  }
  expect(await virsh("vol-info", "--pool", "default", "timed")).toContain("1.00 MiB");
  const { schedules } = (await server.get("/schedules/list")).body;
  expect(schedules).toMatchObject([{ runs: 2, last_job: second.id, last_result: "failed" }]);
});

const isEnded = ({ ended_at }: { ended_at: string | null }) => ended_at !== null;
