/** QEMU is killed: a signed webhook and a mail, within two seconds, once; also where a receiver or our server is away. */
import { execFile } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { guarded } from "../../fixtures/access.ts";
import { selfSigned } from "../../fixtures/certificate.ts";
import { image, machine, virsh, wipe } from "../../fixtures/live/machine.ts";
import { processes } from "../../fixtures/live/virsh.ts";
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
import { startServer, type TestServer } from "../../server.ts";

const run = promisify(execFile);
const NAME = `it's "1" ü`;
const SECRET = `whsec_${Buffer.from("a secret of thirty-two bytes! ok").toString("base64")}`;
const state = folderOf(me());
const tls = selfSigned(state, "receiver");
const access = guarded(
  "access.local = true",
  'notifications.hosts = ["localhost"]',
  'notifications.private = ["127.0.0.0/8", "::1"]',
  `notifications.ca = "${tls.cert}"`,
  "alerts.period = 5",
);
const start = () => startServer({ ...access.env, XDG_STATE_HOME: state });

let server: TestServer;
let hook: HttpReceiver;
let mail: MailReceiver;
beforeAll(async () => {
  [hook, mail] = [receiveHttp({ tls }), await receiveMail({ tls })];
  server = await start();
  const mailed = { from: "kvm@example.com", to: ["ops@example.com"], on_failure: false };
  const settings = {
    webhook: { url: hook.url, secret: SECRET },
    email: {
      smtp_server: "localhost",
      port: mail.port,
      username: "ops",
      password: "s3cret",
      ...mailed,
    },
  };
  const answer = await server.get("/notifications/update", {
    method: "PUT",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(settings),
  });
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  await machine(NAME);
}, slow(120_000));
beforeEach(() => {
  hook.got.length = mail.got.length = 0;
});
afterAll(async () => {
  await server.stop();
  await Promise.all([hook.stop(), mail.stop()]);
  await wipe();
  access.remove();
  rmSync(state, { recursive: true });
});

const rules = async () => (await server.get("/alert-rules/list")).body.rules;
const ruleOf = async (name: string) =>
  (await rules()).find((one: { name: string }) => one.name === name);
async function createRule(body: { name: string; [field: string]: unknown }) {
  const answer = await server.post("/alert-rules/create", body);
  expect(answer.status, JSON.stringify(answer.body)).toBe(201);
  await until(async () => (await ruleOf(body.name)).evaluated_at);
}
/** Whether virsh hears of the domains' events. */
const listens = () =>
  run("pgrep", ["-f", "^virsh .*event --all"]).then(
    () => true,
    () => false,
  );
const told = () => hook.got.map(({ body }) => [body.type, body.data.object]);
/** The one that runs. */
const kill = () => {
  for (const pid of processes("qemu-system-x86_64")) process.kill(pid, "SIGKILL");
};

test("a signed webhook and a mail within two seconds, once, and one of each when it runs again", async () => {
  await createRule({ name: "crashed", condition: "domain_crashed" });
  await until(() => listens());
  await virsh("start", "--domain", NAME);
  const at = Date.now();
  kill();
  await until(() => hook.got.length > 0 && mail.got.length > 0);
  const [got] = hook.got;
  if (got) verify(SECRET, got);
  expect(got?.body).toMatchObject({
    type: "alert.firing",
    data: { rule: "crashed", host: "local", object: NAME, state: "firing", detail: "has crashed" },
  });
  const took = [(got?.at ?? 0) - at, (mail.got[0]?.at ?? 0) - at];
  console.info(`QEMU was killed: webhook after ${took[0]} ms, mail after ${took[1]} ms`);
  for (const ms of took) expect(ms).toBeLessThan(slow(2000));
  expect(mail.got[0]?.text).toContain(`Message-ID: <${got?.headers["webhook-id"]}@hypersdk>`);
  const { evaluated_at } = await ruleOf("crashed");
  await until(async () => (await ruleOf("crashed")).evaluated_at > evaluated_at);
  await virsh("start", "--domain", NAME);
  await until(() => hook.got.length > 1 && mail.got.length > 1);
  expect(told()).toEqual([
    ["alert.firing", NAME],
    ["alert.resolved", NAME],
  ]);
  expect(mail.got).toHaveLength(2);
});

test("one whose end was asked for fires nothing", async () => {
  await virsh("destroy", "--domain", NAME);
  const { evaluated_at } = await ruleOf("crashed");
  await until(async () => (await ruleOf("crashed")).evaluated_at > evaluated_at);
  expect(await ruleOf("crashed")).toMatchObject({ state: "ok", error: null });
  expect(told()).toEqual([]);
});

test("a transient domain, of which libvirt knows nothing afterwards, is told of too", async () => {
  await machine("gone");
  writeFileSync("/run/gone.xml", await virsh("dumpxml", "--domain", "gone"));
  await virsh("undefine", "--domain", "gone");
  await virsh("create", "--file", "/run/gone.xml");
  kill();
  await until(() => told().length > 1 && mail.got.length > 1);
  expect(told()).toEqual([
    ["alert.firing", "gone"],
    ["alert.resolved", "gone"],
  ]);
});

test("a receiver that is away, and a server that is killed meanwhile: once, still", async () => {
  hook.answer = () => new Response("away", { status: 503 });
  await virsh("start", "--domain", NAME);
  kill();
  // a server that dies between the "taken" of a receiver and its note of it sends it again, with the same Message-ID
  const status = async () => (await server.get("/notifications/config")).body.email.status;
  await until(async () => mail.got.length > 0 && (await status()).waiting === 0);
  process.kill(server.pid, "SIGKILL");
  await server.stop();
  server = await start();
  hook.answer = () => new Response("ok");
  await until(() => hook.got.length > 0);
  const before = (await ruleOf("crashed")).evaluated_at;
  await until(async () => (await ruleOf("crashed")).evaluated_at > before);
  expect(told()).toEqual([["alert.firing", NAME]]);
  expect(mail.got.map(({ text }) => /^Subject: .*/m.exec(text)?.[0])).toHaveLength(1);
  expect((await server.post("/alert-rules/delete", { name: "crashed" })).status).toBe(200);
});

test("a rule is about the domains that a query selects, whatever they are called", async () => {
  const create = (body: object) => server.post("/alert-rules/create", body);
  const wrong = await create({ name: "x", condition: "schedule_missed", select: "tag:prod" });
  expect([wrong.status, wrong.body.error]).toEqual([400, expect.stringMatching(/^select: /)]);
  const unparsed = await create({ name: "x", condition: "domain_crashed", select: "tag:" });
  expect([unparsed.status, unparsed.body.error]).toEqual([400, expect.stringMatching(/^select: /)]);
  await machine("other");
  await virsh("start", "--domain", NAME);
  await virsh("start", "--domain", "other");
  const tag = { domains: [NAME], tags: ["prod"] };
  expect((await server.post("/tags/assign", tag)).status).toBe(200);
  const made = await create({ name: "prod", condition: "domain_crashed", select: "tag:prod" });
  expect(made.body.data).toMatchObject({
    select: "tag:prod",
    selected: { domains: [`local/${NAME}`] },
  });
  await until(async () => (await ruleOf("prod")).evaluated_at);
  kill();
  await until(() => told().length > 0);
  const { evaluated_at } = await ruleOf("prod");
  await until(async () => (await ruleOf("prod")).evaluated_at > evaluated_at);
  expect(told()).toEqual([["alert.firing", NAME]]);
  expect((await server.post("/tags/remove", tag)).status).toBe(200);
  await until(() => told().length > 1);
  expect(told()).toEqual([
    ["alert.firing", NAME],
    ["alert.resolved", NAME],
  ]);
  expect(await ruleOf("prod")).toMatchObject({ state: "ok", selected: { domains: [] } });
  expect((await server.post("/alert-rules/delete", { name: "prod" })).status).toBe(200);
});

test("use of CPUs and pools is measured", async () => {
  await image("used.raw"); // a pool without images may use nothing at all
  await createRule({
    name: "pools",
    condition: "storage_usage",
    threshold: 0,
    objects: ["default"],
  });
  await until(async () => (await ruleOf("pools")).state === "firing");
  const { last_value, alerts } = await ruleOf("pools");
  expect(alerts).toMatchObject([{ host: "local", object: "default", value: last_value }]);
  expect(last_value).toBeGreaterThan(0);
  await virsh("start", "--domain", NAME);
  await createRule({ name: "cpus", condition: "cpu_usage", threshold: 99 });
  await until(async () => (await ruleOf("cpus")).last_value !== null);
  expect(await ruleOf("cpus")).toMatchObject({ error: null });
});
