/** A guest writes until the file system of its disk is full: libvirt pauses it, a rule fires, and ends once it goes on. */
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { guarded } from "../../fixtures/access.ts";
import { bootSector } from "../../fixtures/live/boot-sector.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { sh, virsh } from "../../fixtures/live/machine.ts";
import { type HttpReceiver, receiveHttp, until } from "../../fixtures/receivers.ts";
import { folderOf, me } from "../../fixtures/store.ts";
import { startServer } from "../../server.ts";

/** What INT 13h is told: 127 sectors, from 1000:0000, to sector 1. It stands at 7D00. */
const PACKET = Buffer.from([16, 0, 127, 0, 0, 0, 0, 0x10, 1, 0, 0, 0, 0, 0, 0, 0]);
/** Writes its disk full, from begin to end; then it sleeps. */
const WRITER = bootSector([
  ...[0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x00, 0x7d, "again:"],
  ...[0xb8, 0x00, 0x43, 0xb2, 0x80, 0xcd, 0x13, "jc end"], // an extended write to the first disk
  ...[0x66, 0x83, 0x06, 0x08, 0x7d, 0x7f, "jmp again"], // 127 sectors on
  ...["end:", 0xf4, "jmp end"],
]);
PACKET.copy(WRITER, 0x100);

const NAME = `it's "full" ü`;
const state = folderOf(me());
const access = guarded(
  "access.local = true",
  'notifications.hosts = ["localhost"]',
  'notifications.private = ["127.0.0.0/8", "::1"]',
  "alerts.period = 1",
);
const { test, server } = labTest({
  start: () => startServer({ ...access.env, XDG_STATE_HOME: state }),
});
let hook: HttpReceiver;
beforeAll(() => {
  hook = receiveHttp();
});
afterAll(async () => {
  await hook.stop();
  access.remove();
  rmSync(state, { recursive: true });
});

const told = () => hook.got.map(({ body }) => [body.type, body.data.object, body.data.detail]);
const why = async () => (await virsh("domstate", "--domain", NAME, "--reason")).trim();
const rule = async () => (await server.get("/alert-rules/list")).body.rules[0];
const measuredAnew = async () => {
  const { evaluated_at } = await rule();
  await until(async () => (await rule()).evaluated_at > evaluated_at);
};

test.for(["enospace", "stop"])("error policy %s", async (policy, { machine, pool }) => {
  const folder = await pool("full", "8m");
  const file = join(folder, "disk.raw");
  writeFileSync(file, WRITER);
  await sh(`truncate -s 32M '${file}'`);
  const disk = xml`<disk type="file" device="disk"><driver name="qemu" type="raw" error_policy="${policy}"/><source file="${file}"/><target dev="vda" bus="virtio"/></disk>`;
  await machine(NAME, { disks: [disk] });
  // its disk goes first with the test
  await fills(folder).finally(() => virsh("destroy", "--domain", NAME));
});

async function fills(folder: string) {
  const secret = `whsec_${Buffer.from("a secret of thirty-two bytes! ok").toString("base64")}`;
  const webhook = { url: hook.url, secret, events: ["alert.firing", "alert.resolved"] };
  const init = { method: "PUT", headers: { "Content-Type": "application/json" } };
  const body = JSON.stringify({ webhook });
  const { status } = await server.get("/notifications/update", { ...init, body });
  expect(status).toBe(200);
  hook.got.length = 0; // the test message
  const wanted = { name: "paused", condition: "domain_paused_io" };
  expect((await server.post("/alert-rules/create", wanted)).status).toBe(201);
  // one that a person has paused fires nothing
  await virsh("start", "--domain", NAME, "--paused");
  await until(async () => (await rule()).evaluated_at);
  await measuredAnew();
  expect(await rule()).toMatchObject({ state: "ok", error: null });

  await virsh("resume", "--domain", NAME);
  await until(async () => (await why()) === "paused (I/O error)");
  expect(statfsSync(folder).bavail).toBe(0);
  await until(() => hook.got.length > 0);
  expect(await rule()).toMatchObject({
    state: "firing",
    alerts: [{ host: "local", object: NAME, detail: "is paused by an I/O error", told: true }],
  });
  await measuredAnew();

  await sh(`mount -o remount,size=64m '${folder}'`);
  await virsh("resume", "--domain", NAME);
  await until(() => hook.got.length > 1);
  expect(await why()).toBe("running (unpaused)");
  await measuredAnew();
  expect(told()).toEqual([
    ["alert.firing", NAME, "is paused by an I/O error"],
    ["alert.resolved", NAME, "is well again (it is paused by an I/O error)"],
  ]);
  expect((await server.post("/alert-rules/delete", { name: "paused" })).status).toBe(200);
}
