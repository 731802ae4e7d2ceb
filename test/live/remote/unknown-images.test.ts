/** What a login user may not read is unknown, and never counts as "not there". */
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { at, machine, sh, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { type LoginUser, startLoginUser } from "../../lab/login-user.ts";
import type { TestServer } from "../../server.ts";

const OUTSIDE = "/srv/vms";
const OVERLAY = `${OUTSIDE}/ov.qcow2`;

let user: LoginUser;
let server: TestServer;
beforeAll(async () => {
  user = await startLoginUser();
  server = await start(undefined, { LIBVIRT_DEFAULT_URI: user.uri() });
});
afterAll(async () => {
  rmSync(OUTSIDE, { recursive: true, force: true });
  await wipe();
  await server.stop();
  await user.remove();
});

/** An overlay for root alone, in no pool, of a domain that is off; and a domain with a volume of its own. */
beforeEach(async () => {
  await wipe();
  mkdirSync(OUTSIDE, { recursive: true });
  chmodSync(OUTSIDE, 0o755);
  await sh(`qemu-img create -q -f qcow2 base.qcow2 8M; qemu-img create -q -f qcow2 own.qcow2 8M
    qemu-img create -q -f qcow2 -b ${at("base.qcow2")} -F qcow2 ${OVERLAY}`);
  chmodSync(OVERLAY, 0o600);
  await virsh("pool-refresh", "default");
  await machine("ov", { disks: [OVERLAY] });
});
const base = { pool: "default", volume: "base.qcow2" };

test.each<[string, () => unknown]>([
  ["an image of root's", () => {}],
  ["a folder of root's", () => chmodSync(OUTSIDE, 0o700)],
  [
    "an image whose header is damaged",
    () => {
      writeFileSync(OVERLAY, "no qcow2");
      chmodSync(OVERLAY, 0o644);
    },
  ],
])("%s: its base is neither deleted, wiped nor resized without force", async (_what, prepare) => {
  await prepare();
  for (const [verb, input] of [
    ["delete", base],
    ["wipe", base],
    ["resize", { ...base, capacity: "16MiB" }],
  ] as const) {
    const answer = await server.post(`/libvirt/volume/${verb}`, input);
    expectError(answer, 500, "in_use", /may be the base of \/srv\/vms\/ov\.qcow2 of domain ov/);
    expect(answer.body.domains).toEqual(["ov"]);
  }
  expectSuccess(await server.post("/libvirt/volume/delete", { ...base, force: true }));
  expect(existsSync(at("base.qcow2"))).toBe(false);
});

test("an image that is clearly not there stands on nothing", async () => {
  rmSync(OVERLAY);
  expectSuccess(await server.post("/libvirt/volume/delete", base));
});

test("remove_storage keeps what the unread image may stand on, and says so", async () => {
  await machine("vm", { disks: [at("own.qcow2")] });
  const input = { domains: ["vm"], remove_storage: true };
  const { body } = await server.post("/libvirt/batch/delete", input);
  expect(body.results).toMatchObject([
    {
      success: true,
      removed: [],
      kept: [{ path: at("own.qcow2"), reason: expect.stringMatching(/^it may be the base of/) }],
    },
  ]);
  expect(existsSync(at("own.qcow2"))).toBe(true);
});

test("volume/info says that it cannot tell the data file", async () => {
  chmodSync(at("own.qcow2"), 0o600);
  const { data } = (await server.get("/libvirt/volume/info?pool=default&volume=own.qcow2")).body;
  expect(data).toMatchObject({
    data_file: null,
    reasons: { data_file: expect.stringMatching(/Permission denied/) },
  });
});
