/** Watching jobs: one look at the database for all who watch, each of whom is told their own. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test, vi } from "vitest";
import type { Job } from "../../../runtime/jobs/job.ts";
import { type Owner, queryJobs } from "../../../runtime/jobs/query.ts";
import { watchJobs } from "../../../runtime/jobs/watch.ts";
import { until } from "../../fixtures/fake.ts";

vi.mock(import("../../../runtime/store/state.ts"), async (load) => ({
  ...(await load()),
  databaseState: () => ({ kind: "server", state: "available" }) as never,
}));
vi.mock(import("../../../runtime/jobs/query.ts"), async (load) => ({
  ...(await load()),
  queryJobs: vi.fn(),
}));

const owner = (name: string): Owner => ({ kind: "token", name, fingerprint: name });
const job = (id: string, name: string) => {
  const time = "2026-01-01T00:00:00Z";
  const times = { created_at: time, run_at: time, started_at: null, ended_at: null };
  return {
    ...{
      id,
      state: "queued",
      submitter: { ...owner(name), role: "operate" },
      host: "local",
      ...times,
    },
    ...{ answer: null, progress: null, cancel_requested_at: null, input: {}, domains: [] },
  } as unknown as Job;
};
let open: Job[] = [];
let isWhole = true;
const asked = vi.mocked(queryJobs).mockImplementation(async (_filter, who) => ({
  jobs: who ? open.filter(({ submitter }) => submitter.name === who.name) : open,
  total: open.length,
  cursor: isWhole || who ? null : "1",
}));
const ends: (() => Promise<void>)[] = [];
function watcher(who?: Owner) {
  const end = new AbortController();
  const told: string[][] = [];
  const over = (async () => {
    for await (const { data } of watchJobs(who, end.signal))
      told.push(data.jobs.map(({ id }) => id));
  })();
  ends.push(() => {
    end.abort();
    return over;
  });
  return told;
}
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  isWhole = true;
});

test("ten who watch cost one query a look, see their own jobs alone, and nobody costs nothing", async () => {
  open = [job("1", "ann"), job("2", "bob")];
  const [all, ann, bob] = [watcher(), watcher(owner("ann")), watcher(owner("bob"))];
  for (let n = 0; n < 7; n++) watcher(owner("ann"));
  await until(() => [all, ann, bob].every((told) => told.length > 0));
  expect([all, ann, bob]).toEqual([[["1", "2"]], [["1"]], [["2"]]]);
  asked.mockClear();
  await sleep(2500);
  expect(asked.mock.calls.length).toBeLessThanOrEqual(3);
  open = [job("2", "bob")];
  await until(() => all.length > 1 && ann.length > 1);
  expect([all[1], ann[1], bob.length]).toEqual([["2"], [], 1]);
  for (const end of ends.splice(0)) await end();
  asked.mockClear();
  await sleep(1500);
  expect(asked).not.toHaveBeenCalled();
});

test("where there are more than one look reads, each is told all of theirs, and two of one token cost one query", async () => {
  isWhole = false;
  open = [job("1", "ann")];
  const [one, other] = [watcher(owner("ann")), watcher(owner("ann"))];
  await until(() => one.length > 0 && other.length > 0);
  expect(one).toEqual([["1"]]);
  asked.mockClear();
  await sleep(2500);
  const own = asked.mock.calls.filter(([, who]) => who);
  expect(own.length).toBeGreaterThan(0);
  expect(own.length).toBeLessThanOrEqual(3);
});

test("a database that does not answer ends the stream with its reason", async () => {
  asked.mockRejectedValueOnce(new Error("the database is away"));
  await expect(watchJobs(undefined, new AbortController().signal).next()).rejects.toThrow(
    /internal|away/,
  );
});
