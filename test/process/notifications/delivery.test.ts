/** Notifications as their receivers see them: a real server, a private PostgreSQL, and servers that take messages. */
import { rmSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { bearing, guarded } from "../../fixtures/access.ts";
import { selfSigned } from "../../fixtures/certificate.ts";
import {
  type HttpReceiver,
  type MailReceiver,
  receiveHttp,
  receiveMail,
  until,
  verify,
} from "../../fixtures/receivers.ts";
import { slow } from "../../fixtures/slowness.ts";
import { folderOf, me } from "../../fixtures/store.ts";
import { type Answer, startServer, type TestServer } from "../../server.ts";

const state = folderOf(me());
const tls = selfSigned(state, "receiver");
const SECRET = `whsec_${Buffer.from("a secret of thirty-two bytes! ok").toString("base64")}`;
const access = guarded(
  "access.local = true",
  'default_host = "a"',
  'hosts.a.uri = "test:///default"',
  'notifications.hosts = ["localhost", "127.0.0.1", "10.255.0.1"]',
  'notifications.private = ["127.0.0.0/8", "::1"]',
  `notifications.ca = "${tls.cert}"`,
);
const env = { ...access.env, XDG_STATE_HOME: state };

let server: TestServer;
let hook: HttpReceiver;
let mail: MailReceiver;
beforeAll(async () => {
  [hook, mail] = [receiveHttp({ tls }), await receiveMail({ tls })];
  server = await startServer(env);
}, slow(120_000));
beforeEach(() => {
  hook.got.length = mail.got.length = 0;
  hook.answer = () => new Response("ok");
});
afterAll(async () => {
  await server.stop();
  await Promise.all([hook.stop(), mail.stop()]);
  access.remove();
  rmSync(state, { recursive: true });
});

const update = (body: object, init: RequestInit = {}): Promise<Answer> =>
  server.get("/notifications/update", {
    method: "PUT",
    body: JSON.stringify(body),
    ...init,
    headers: { "Content-Type": "application/json", ...init.headers },
  });
const config = async () => (await server.get("/notifications/config")).body;
const webhook = () => ({
  url: `${hook.url}/hook?key=k1`,
  headers: { "X-Key": "k2" },
  secret: SECRET,
});
const email = () => ({
  ...{ smtp_server: "localhost", port: mail.port, username: "ops", password: "s3cret" },
  ...{ from: "kvm@example.com", to: ["ops@example.com"], on_completion: true },
});
/** A network of libvirt's test hypervisor lives as long as its connection: the name is free again. */
async function runJob(input: object) {
  const answer = await server.post("/jobs/submit", { function: "/libvirt/network/create", input });
  expect(answer.status, JSON.stringify(answer.body)).toBe(202);
  return { job_id: `${answer.body.job_ids[0]}` };
}
const types = () => hook.got.map(({ body }) => body.type);

test("before anything was set up, nothing is enabled", async () => {
  const answer = await config();
  expect(answer).toMatchObject({
    email: { enabled: false, status: null },
    webhook: { enabled: false },
    sms: { enabled: false },
    hosts: ["localhost", "127.0.0.1", "10.255.0.1"],
  });
});

test("receivers get a test message, count from then on, and their secrets are shown never again", async () => {
  const answer = await update({ webhook: webhook(), email: email() });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  const [got] = hook.got;
  expect(got?.path).toBe("/hook?key=k1");
  expect(got?.headers["x-key"]).toBe("k2");
  expect(got?.body.type).toBe("test");
  if (got) verify(SECRET, got);
  expect(mail.got).toMatchObject([{ to: ["ops@example.com"], user: "ops", secure: true }]);
  for (const body of [answer.body.data, await config()]) {
    expect(body.webhook).toMatchObject({
      enabled: true,
      secret: "***",
      headers: { "X-Key": "***" },
    });
    expect(body.webhook.url).toBe(`${hook.url}/hook?***`);
    expect(body.email).toMatchObject({ password: "***", username: "ops", on_failure: true });
    expect(JSON.stringify(body)).not.toMatch(/k1|k2|s3cret|whsec/);
  }
  expect(JSON.stringify(access.audited()) + server.log()).not.toMatch(/k1|k2|s3cret|whsec_[^"]/);
});

test("what is given back hidden stays what it was", async () => {
  const { status: _, enabled: __, ...shown } = (await config()).webhook;
  expect((await update({ webhook: shown })).status).toBe(200);
  expect(hook.got).toMatchObject([{ path: "/hook?key=k1", headers: { "x-key": "k2" } }]);
  if (hook.got[0]) verify(SECRET, hook.got[0]);
});

test("a job's end is told once, signed, in order, and by mail", async () => {
  const { job_id } = await runJob({ name: "n1" });
  await until(() => types().includes("job.completed"));
  const [got] = hook.got;
  if (got) verify(SECRET, got);
  expect(got?.body.data).toMatchObject({ id: job_id, host: "a", state: "completed", error: null });
  expect(got?.headers["webhook-id"]).toMatch(/^[0-9a-f-]{36}$/);
  await until(() => mail.got.length === 1);
  expect(mail.got[0]?.text).toMatch(/^Subject: Job \/libvirt\/network\/create on a completed/m);
  expect(mail.got[0]?.text).toContain(`Message-ID: <${got?.headers["webhook-id"]}@hypersdk>`);
});

test("a receiver that refuses for a while gets all in order, with the same id in each try", async () => {
  const ids: string[] = [];
  let refusals = 3;
  hook.answer = ({ headers }) => {
    ids.push(`${headers["webhook-id"]}`);
    return refusals-- > 0 ? new Response("later", { status: 503 }) : new Response("ok");
  };
  const jobs: string[] = [];
  for (const name of ["o1", "o2", "o3"]) {
    const { job_id } = await runJob({ name });
    jobs.push(job_id);
    await until(async () => (await server.get(`/jobs/${job_id}`)).body.data.ended_at);
  }
  await until(() => hook.got.length === 3);
  expect(hook.got.map(({ body }) => body.data.id)).toEqual(jobs);
  expect(new Set(ids.slice(0, 4)).size).toBe(1);
  expect(new Set(ids).size).toBe(3);
  await until(async () => (await config()).webhook.status.waiting === 0); // noted after its answer
  expect((await config()).webhook.status).toMatchObject({ waiting: 0, last_error: null });
});

test.each([400, 413, 422])(
  "a message that is refused with %i is given up, and those behind it arrive",
  async (status) => {
    const before = (await config()).webhook.status.dropped;
    let refusals = 1;
    hook.answer = () => (refusals-- > 0 ? new Response("no", { status }) : new Response("ok"));
    await runJob({ name: `r${status}` });
    await until(async () => (await config()).webhook.status.dropped > before);
    expect((await config()).webhook.status).toMatchObject({
      ...{ waiting: 0, dropped: before + 1, last_error: `it answered ${status}: no` },
    });
    const { job_id } = await runJob({ name: `s${status}` });
    await until(() => hook.got.some(({ body }) => body.data.id === job_id));
  },
);

test("a message survives a server that is killed while its receiver is away, and arrives once", async () => {
  hook.answer = () => new Response("away", { status: 502 });
  const { job_id } = await runJob({ name: "k1" });
  await until(async () => (await config()).webhook.status.last_error);
  expect((await config()).webhook.status).toMatchObject({
    waiting: 1,
    last_error: "it answered 502: away",
  });
  process.kill(server.pid, "SIGKILL");
  await server.stop();
  hook.answer = () => new Response("ok");
  server = await startServer(env);
  await until(() => hook.got.length > 0);
  await until(async () => (await config()).webhook.status.waiting === 0);
  expect(hook.got.map(({ body }) => body.data.id)).toEqual([job_id]);
});

test("settings whose test message does not arrive change nothing", async () => {
  hook.answer = () =>
    new Response(null, { status: 302, headers: { Location: `${hook.url}/other` } });
  const before = await config();
  const answer = await update({ webhook: { url: `${hook.url}/new` } });
  expect(answer.body.code).toBe("unreachable");
  expect(answer.body.error).toBe(
    "webhook: the test message did not arrive, so nothing was changed: it answered 302: a redirect, which is not followed",
  );
  expect((await config()).webhook).toEqual(before.webhook);
  const wrong = await update({ email: { password: "wrong" } });
  expect(wrong.body.error).toMatch(/^email: the test message did not arrive.*535/);
});

test.each([
  [
    { webhook: { url: "https://example.com/x", headers: {} } },
    400,
    /webhook: .*"example\.com" is not among the hosts in \[notifications\] hosts$/,
  ],
  [
    { webhook: { url: "http://10.255.0.1/x", headers: {} } },
    400,
    /10\.255\.0\.1, which is not public and not in \[notifications\] private$/,
  ],
  [{ webhook: { url: "https://127.0.0.1/x" } }, 400, /^webhook\.headers: must be given anew/],
  [{ webhook: { url: "ftp://localhost/" } }, 400, /^webhook\.url: must be an http or https URL/],
  [{ webhook: { url: "https://u:p@localhost/" } }, 400, /^webhook\.url: must hold no user name/],
  [{ webhook: { headers: { "webhook-id": "x" } } }, 400, /^webhook\.headers/],
  [
    { webhook: { headers: { "X-New": "***" } } },
    400,
    /^webhook\.headers\.X-New: "\*\*\*" stands for a secret/,
  ],
  [{ webhook: { secret: "abc" } }, 400, /^webhook\.secret: must be "whsec_"/],
  [{ webhook: { url: "***" } }, 400, /^webhook\.url: must be an http or https URL/],
  [{ webhook: { headers: { "X-A": "snow ☃" } } }, 400, /^webhook\.headers\.X-A: must be one line/],
  [{ webhook: { headers: { "Transfer-Encoding": "chunked" } } }, 400, /^webhook\.headers/],
  [{ webhook: { urll: "http://localhost/" } }, 400, /"urll" \(allowed in webhook: url, headers,/],
  [{ slack: { webhook_url: "ftp://x/" } }, 400, /^slack\.webhook_url: must be an http/],
  [{ ntfy: { server: "https://localhost/kvm" } }, 400, /^ntfy\.server: must have no path/],
  [{ ntfy: { token: "snow ☃" } }, 400, /^ntfy\.token: must be one line/],
  [{ sms: { provider: "twilio" } }, 500, /use webhook/],
  [{ slack: { enabled: true } }, 400, /^slack\.webhook_url: required/],
  [{ ntfy: { topic: "a/b" } }, 400, /^ntfy\.topic: must be/],
  [{ email: { to: ["a@b\nBcc: c@d"] } }, 400, /^email\.to\.0: must be/],
  [{ email: { colour: 1 } }, 400, /unknown key "colour"/],
  [{ sms: { enabled: true, provider: "x", numbers: [] } }, 500, /use webhook/],
])("a bad setting is refused: %j", async (body, status, text) => {
  const answer = await update(body);
  expect(answer.body.error).toMatch(text);
  expect(answer.status).toBe(status);
});

test("a certificate that is not the host's is not trusted, and no plain text goes to a mail server", async () => {
  const folder = folderOf(me());
  const other = receiveHttp({ tls: selfSigned(folder, "other") });
  const answer = await server.post("/webhooks/test", { url: `${other.url}/` });
  expect(answer.body).toMatchObject({
    code: "unreachable",
    error: expect.stringMatching(/SELF_SIGNED/),
  });
  expect(other.got).toEqual([]);
  await other.stop();
  const plain = await receiveMail({});
  const refused = await update({ email: { port: plain.port } });
  expect(refused.body.error).toMatch(/^email: the test message did not arrive/);
  expect(plain.got).toEqual([]);
  expect(
    (
      await update({
        email: { port: plain.port, security: "none", username: null, password: null },
      })
    ).status,
  ).toBe(200);
  expect(plain.got).toHaveLength(1);
  expect((await update({ email: { enabled: false } })).status).toBe(200);
  await plain.stop();
  rmSync(folder, { recursive: true });
});

test("webhooks/test tells what the receiver answers", async () => {
  hook.answer = () => new Response("no such hook", { status: 404 });
  const url = `${hook.url}/else`;
  const refused = await server.post("/webhooks/test", { url, headers: { "X-Team": "ops" } });
  expect(refused.body.data).toMatchObject({
    delivered: false,
    status: 404,
    answer: "no such hook",
    signed: false,
  });
  hook.answer = () => new Response("ok");
  const { data } = (await server.post("/webhooks/test", { url, event: "alert.firing" })).body;
  expect(data).toMatchObject({ delivered: true, status: 200 });
  expect(data.duration_ms).toBeGreaterThanOrEqual(0);
  const [got] = hook.got;
  expect(got?.body.type).toBe("alert.firing");
  expect(got?.headers).not.toHaveProperty("webhook-signature");
  const stored = await server.post("/webhooks/test", {});
  expect(stored.body.data.signed).toBe(true);
  if (hook.got[1]) verify(SECRET, hook.got[1]);
  const closed = await server.post("/webhooks/test", { url: "http://127.0.0.1:1/" });
  expect(closed.body).toMatchObject({
    code: "unreachable",
    error: expect.stringMatching(/ECONNREFUSED/),
  });
});

test("Slack, Mattermost and ntfy get a post each, in which names call nobody", async () => {
  const url = `${hook.url}/chat`;
  const chats = { webhook_url: url, channel: "#ops" };
  const ntfy = { server: hook.url, topic: "kvm", token: "tk_1", events: ["job.failed"] };
  expect(
    (await update({ slack: chats, mattermost: chats, ntfy, webhook: { enabled: false } })).status,
  ).toBe(200);
  expect(hook.got).toHaveLength(3);
  hook.got.length = 0;
  await runJob({ name: "default", subnet: "192.168.124.1" }); // there is such a network
  await until(() => hook.got.length === 3);
  const bodies = hook.got.map(({ body }) => body);
  expect(bodies.filter(({ channel }) => channel === "#ops")).toHaveLength(2);
  const posted = hook.got.find(({ body }) => body.topic === "kvm");
  expect(posted?.body).toMatchObject({
    priority: 4,
    title: "Job /libvirt/network/create on a failed",
  });
  expect(posted?.headers.authorization).toBe("Bearer tk_1");
  const off = { enabled: false };
  expect((await update({ slack: off, mattermost: off, ntfy: off })).status).toBe(200);
});

test("only administrators without limits may see or change who is told", async () => {
  const read = bearing(await access.token("r", { role: "read" }));
  const limited = bearing(await access.token("l", { role: "admin", domains: ["web-*"] }));
  for (const who of [read, limited]) {
    expect((await server.get("/notifications/config", who)).status).toBe(403);
    expect((await update({}, who)).status).toBe(403);
  }
  expect(
    (await server.get("/notifications/config", bearing(await access.token("a", { role: "admin" }))))
      .status,
  ).toBe(200);
});
