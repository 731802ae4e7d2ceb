/** A token whose domains a query selects, with libvirt's own running domains; tags are changed with virsh. */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect } from "vitest";
import { bearing, type Guarded, guarded } from "../../fixtures/access.ts";
import { startEcho } from "../../fixtures/live/console.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { image, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { openSocket, refusal } from "../../fixtures/socket.ts";
import { type Answer, startServer } from "../../server.ts";

const access: Guarded = guarded();
const { test, server } = labTest({ start: () => startServer(access.env), tidy: wipe });
let headers: Record<string, string>;
beforeAll(async () => {
  headers = bearing(await access.token("prod", { role: "admin", select: "tag:prod" })).headers;
});
afterAll(() => access.remove());

const get = (path: string) => server.get(path, { headers });
const post = (path: string, body: object) =>
  server.get(path, {
    ...{ method: "POST", body: JSON.stringify(body) },
    headers: { ...headers, "Content-Type": "application/json" },
  });
const own = async () => {
  const { domains } = expectSuccess(await get("/libvirt/domains")) as {
    domains: { name: string }[];
  };
  return domains.map(({ name }) => name).toSorted();
};
const refused = ({ status, body }: Answer, name: string) =>
  expect([status, body.missing], JSON.stringify(body)).toEqual([403, `domain:${name}`]);

const URI = "urn:hypersdk:tags:1";
const tag = (name: string, ...sides: string[]) =>
  virsh(
    ...["metadata", name, "--uri", URI, ...sides, "--key", "h"],
    ...["--set", "<tags><tag>prod</tag></tags>"],
  );
const untag = (name: string, ...sides: string[]) =>
  virsh("metadata", name, "--uri", URI, ...sides, "--remove");

test("what runs has the tags that it runs with, and each change of them counts at once", async ({
  machine,
}) => {
  await machine("runs");
  await machine("off");
  await virsh("start", "runs");
  expect(await own()).toEqual([]);
  await tag("runs", "--live", "--config");
  await tag("off", "--config");
  expect(await own()).toEqual(["off", "runs"]);
  await sleep(3500); // libvirt's files are old enough by now to tell that they are the same
  for (let i = 0; i < 2; i++) expect(await own()).toEqual(["off", "runs"]);
  await untag("runs", "--live");
  expect(await own()).toEqual(["off"]);
  refused(await get("/libvirt/domain?name=runs"), "runs");
  await virsh("destroy", "runs"); // what it is defined with has the tag still
  expect(await own()).toEqual(["off", "runs"]);
  expectSuccess(await post("/libvirt/domain/start", { name: "runs" }));
  await untag("off", "--config");
  expect(await own()).toEqual(["runs"]);
});

test("a name goes with its tags: one that another domain gets is another's", async ({
  machine,
}) => {
  await machine("web");
  await machine("db");
  await tag("web", "--config");
  await virsh("domrename", "web", "old");
  await virsh("domrename", "db", "web");
  refused(await get("/libvirt/domain?name=web"), "web");
  expect(await own()).toEqual(["old"]);
  refused(await post("/libvirt/domain/rename", { name: "old", new_name: "web" }), "web");
  await virsh("undefine", "web");
});

test("a snapshot brings back the tags that it was taken with", async ({ machine }) => {
  await machine("web", { disks: [await image("web.qcow2")] });
  await tag("web", "--config");
  await virsh("snapshot-create-as", "web", "before");
  await untag("web", "--config");
  const revert = { domain_name: "web", snapshot_name: "before" };
  refused(await post("/libvirt/snapshot/revert", revert), "web");
  await virsh("snapshot-revert", "web", "before");
  expect(await own()).toEqual(["web"]);
});

test("a QEMU that does not answer keeps nothing from being known", {
  timeout: slow(60_000),
}, async ({ machine }) => {
  await machine("web");
  await machine("db");
  for (const name of ["web", "db"]) await virsh("start", name);
  await tag("web", "--live", "--config");
  const pid = (name: string) => Number(readFileSync(`/run/libvirt/qemu/${name}.pid`, "utf8"));
  for (const name of ["web", "db"]) process.kill(pid(name), "SIGSTOP");
  refused(await post("/libvirt/domain/destroy", { name: "db" }), "db");
  expect(await own()).toEqual(["web"]);
  expectSuccess(await post("/libvirt/domain/destroy", { name: "web" }));
  process.kill(pid("db"), "SIGCONT");
});

test("a console ends when its domain loses the tag", { timeout: slow(60_000) }, async ({
  machine,
}) => {
  await startEcho(machine, "echo");
  const path = "/console/serial?name=echo";
  expect((await refusal(server.url, path, headers)).status).toBe(403);
  await tag("echo", "--live", "--config");
  const one = await openSocket(server.url, path, headers);
  const ping = setInterval(() => one.send("~"), 200);
  await one.says("~").finally(() => clearInterval(ping));
  await sleep(3000);
  one.send("still open");
  await one.says("open");
  await untag("echo", "--live");
  const { code, reason } = await one.closed;
  expect([code, reason]).toEqual([1008, expect.stringContaining("selects other domains")]);
  expectError(await get("/libvirt/console?name=echo"), 403, "forbidden", /tag:prod/);
});
