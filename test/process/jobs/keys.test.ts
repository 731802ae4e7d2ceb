/** Keys that make a call the same one: whose they are, and what becomes of a call that ends badly, or not at all. */
import { rmSync } from "node:fs";
import { Hono } from "hono";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { type Caller, everything, PROCESS } from "../../../runtime/access/caller.ts";
import { type ErrorCode, HyperError } from "../../../runtime/core/errors.ts";
import type { Call } from "../../../runtime/http/call.ts";
import { once } from "../../../runtime/http/idempotency.ts";
import { boss, stopBoss } from "../../../runtime/jobs/boss.ts";
import { removeOld } from "../../../runtime/jobs/retention.ts";
import { submitJobs } from "../../../runtime/jobs/submit.ts";
import { query } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { wanted } from "../../fixtures/jobs.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";

const state = folderOf(me());
process.env.XDG_STATE_HOME = state;

beforeAll(() => boss(), slow(120_000));
beforeEach(() => query("TRUNCATE job, idempotency CASCADE"));
afterAll(async () => {
  await stopBoss();
  await closeDatabase();
  rmSync(state, { recursive: true });
});

test("a key is of one token: another one of the same name has a job of its own", async () => {
  const ci = (fingerprint: string): Caller => ({ ...everything("token", "ci"), fingerprint });
  const submit = async (fingerprint: string, input = {}) => {
    const [job] = await submitJobs([wanted({ key: "k", submitter: ci(fingerprint), input })]);
    return job?.id;
  };
  const first = await submit("a");
  expect(await submit("b", { other: 1 })).not.toBe(first);
  expect(await submit("a")).toBe(first);
  await expect(submit("a", { other: 1 })).rejects.toMatchObject({ code: "idempotency_mismatch" });
});

/** A call with the key "k", which does what is given; resolves to its body or its error's code. */
async function call(
  run: () => Promise<Response>,
  caller: Caller = PROCESS,
  isJob = false,
): Promise<string> {
  const call = { caller, method: "POST", path: "/x", host: "local", input: {} } as Call;
  const app = new Hono().get("/", (c) => once(c, call, "k", run, isJob));
  app.onError((error, c) => c.text(`${(error as HyperError).code}`));
  return (await app.request("/")).text();
}
let done = 0;
const work = async () => new Response(`${++done}`);
const never = async () => {
  throw new Error("it was done twice");
};
const fails =
  (code: ErrorCode, details = {}) =>
  () => {
    throw new HyperError(code, "no", { details });
  };

test("a call that was done is not done again; another token of the same name does its own", async () => {
  const ci = { ...everything("token", "ci"), fingerprint: "a" };
  const first = await call(work, ci);
  expect(await call(never, ci)).toBe(first);
  expect(await call(work, { ...ci, fingerprint: "b" })).not.toBe(first);
});

test("a call whose server was killed is at work until that is known, and its outcome is unknown then", async () => {
  let end = (_: Response) => {};
  const first = call(() => new Promise((resolve) => (end = resolve)));
  while ((await query("SELECT FROM idempotency")).rows.length === 0) await Bun.sleep(10);
  expect(await call(never)).toBe("idempotency_conflict");
  await query("UPDATE idempotency SET alive_at = now() - interval '16 seconds'"); // as a killed one leaves it
  expect(await call(never)).toBe("outcome_unknown");
  expect(await call(never)).toBe("outcome_unknown");
  end(new Response("late"));
  expect(await first).toBe("late");
  expect(await call(never)).toBe("late"); // it was alive after all
});

test("a call that is at work for more than a day is not done again", async () => {
  let end = (_: Response) => {};
  const first = call(() => new Promise((resolve) => (end = resolve)));
  while ((await query("SELECT FROM idempotency")).rows.length === 0) await Bun.sleep(10);
  await query("UPDATE idempotency SET created_at = now() - interval '25 hours'");
  await removeOld();
  expect(await call(never)).toBe("idempotency_conflict");
  end(new Response("done"));
  await first;
  await query("UPDATE idempotency SET alive_at = now() - interval '2 minutes'");
  await removeOld();
  expect((await query("SELECT FROM idempotency")).rows).toEqual([]);
});

test("after a failure that has begun nothing it may be done; after one that has left something it may not", async () => {
  expect(await call(fails("busy"))).toBe("busy");
  expect(await call(fails("unreachable", { left: ["a volume"] }))).toBe("unreachable");
  expect(await call(never)).toBe("unreachable");
});

test("a call that became a job, whose server was killed before it answered, is the same job again", async () => {
  const submit = async () => {
    const [job] = await submitJobs([wanted({ key: "Idempotency-Key k" })]);
    return new Response(job?.id);
  };
  let stored: string | undefined;
  void call(
    async () => {
      stored = await (await submit()).text();
      return new Promise(() => {}); // the server is killed
    },
    PROCESS,
    true,
  );
  while (stored === undefined) await Bun.sleep(10);
  await query("UPDATE idempotency SET alive_at = now() - interval '16 seconds'");
  expect(await call(never)).toBe("outcome_unknown"); // the same call, but not as a job
  expect(await call(submit, PROCESS, true)).toBe(stored);
  expect(await call(never, PROCESS, true)).toBe(stored);
});

test("after a day a key may be used for another job, also before the old one's is forgotten", async () => {
  const [first] = await submitJobs([wanted({ key: "k" })]);
  await query("UPDATE job SET created_at = now() - interval '24 hours 1 minute'");
  const [second] = await submitJobs([wanted({ key: "k", input: { other: 1 } })]);
  expect(second?.id).not.toBe(first?.id);
});
