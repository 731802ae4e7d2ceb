/** Jobs of a server, by the typed client. */
import { afterEach, expect, test } from "vitest";
import { createClient, HyperError, openJob, RemoteError } from "../../../runtime/client/client.ts";
import {
  away,
  completed,
  failed,
  ID,
  type JobServer,
  running,
  serveJob,
} from "../../fixtures/job-server.ts";

let server: JobServer;
afterEach(() => server.stop());

const input = { source: "base", target: "web-1" };
const submit = (looks: JobServer["looks"]) => {
  server = serveJob(looks);
  const options = { wait: false, host: "kvm2", idempotencyKey: "k1" } as const;
  return createClient(server.url, { token: "secret" })("POST /libvirt/clone", input, options);
};
const caught = (call: Promise<unknown>) => call.then(() => undefined).catch((error) => error);

test("wait: false submits the call, and resolves to the job's handle", async () => {
  const job = await submit([{}, running(10)]);
  expect(job.id).toBe(ID);
  const [{ method, path, query, headers, body } = {} as never] = server.seen;
  expect({ method, path, query, body }).toEqual({
    ...{ method: "POST", path: "/libvirt/clone", query: { host: "kvm2" }, body: input },
  });
  expect(headers.get("Prefer")).toBe("respond-async");
  expect(headers.get("Idempotency-Key")).toBe("k1");
  expect(headers.get("Authorization")).toBe("Bearer secret");
  expect([await job.state(), await job.state()]).toEqual(["queued", "running"]);
});

test("wait resolves to the call's own data, and tells how far it is", async () => {
  const job = await submit([{}, running(10), running(60), completed({ name: "web-1" })]);
  const told: unknown[] = [];
  const states: string[] = [];
  const data = await job.wait({
    onProgress: ({ percent }) => told.push(percent),
    onLook: ({ state }) => void states.push(state),
  });
  expect(data).toEqual({ name: "web-1" });
  expect(told).toEqual([10, 60]);
  expect(states).toEqual(["queued", "running", "running", "completed"]);
});

test("wait throws what the call would have thrown", async () => {
  const error = await caught((await submit([failed("already_exists")])).wait());
  expect(error).toBeInstanceOf(RemoteError);
  expect(error).toBeInstanceOf(HyperError);
  expect(error).toMatchObject({
    ...{ code: "already_exists", status: 500, message: "it is already_exists" },
    details: { children: ["a"] },
  });
});

test("an answer without the envelope comes whole", async () => {
  const batch = { operation: "start", total: 1, successful: 0, failed: 1 };
  const job = await submit([{ ...completed({}), result: batch }]);
  expect(await job.wait()).toEqual(batch);
});

test("a server or database that is away for a while ends no waiting", async () => {
  const job = await submit([running(10), away(), away(), completed({ name: "web-1" })]);
  expect(await job.wait()).toEqual({ name: "web-1" });
  server.looks = [Response.json({ error: "gone", code: "not_found" }, { status: 404 })];
  expect(await caught(job.wait())).toMatchObject({ code: "not_found", status: 404 });
});

test("a signal ends the waiting alone", async () => {
  const job = await submit([running(10)]);
  const abort = new AbortController();
  const wait = caught(job.wait({ signal: abort.signal, onLook: () => abort.abort() }));
  expect(await wait).toMatchObject({ code: "cancelled" });
  expect(await caught(job.wait({ signal: AbortSignal.timeout(20) }))).toMatchObject({
    code: "timed_out",
  });
  expect(await job.state()).toBe("running");
});

test("cancel asks for its end; wait throws when that has come", async () => {
  const job = await submit([running(10)]);
  await job.cancel();
  expect(server.seen.at(-1)).toMatchObject({ path: "/jobs/cancel", body: { job_ids: [ID] } });
  expect(await job.state()).toBe("cancelling");
  expect(await caught(job.wait())).toMatchObject({ code: "cancelled" });
  const other = openJob(createClient(server.url), "another");
  expect(await caught(other.cancel())).toMatchObject({ code: "not_active" });
});

test("a function that is no job has answered at once, which is said", async () => {
  server = serveJob();
  const client = createClient(server.url, {
    fetch: (url, init) => fetch(url, { ...init, headers: { "Content-Type": "application/json" } }),
  });
  const error = await caught(client("POST /libvirt/clone", input, { wait: false }));
  expect(error).toMatchObject({ code: "unsupported", details: { data: { made: true } } });
});

test("the types: a read is no job, and the data is the function's", async () => {
  const job = await submit([completed({ name: "web-1" })]);
  // @ts-expect-error a GET has no job
  const wrong = () => createClient(server.url)("GET /libvirt/networks", {}, { wait: false });
  expect(wrong).toBeTypeOf("function");
  const { name }: { name: string } = await job.wait();
  expect(name).toBe("web-1");
});
