/** What is remembered of images and definitions: no guard is weaker for it, whatever changes between two calls. */
import { execFile } from "node:child_process";
import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  clean,
  defineDomain,
  expectError,
  expectSuccess,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { startServer, type TestServer } from "../../server.ts";

const run = promisify(execFile);
const STORE = "/var/lib/libvirt/images";
const at = (name: string) => join(STORE, name);
/** Longer than a file counts as just changed. */
const SETTLE_MS = 3500;

let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());
afterEach(async () => {
  await clean();
  for (const name of readdirSync(STORE)) rmSync(at(name));
  await virsh("pool-refresh", "default");
});

const qemuImg = (...words: string[]) => run("qemu-img", words, { cwd: STORE });
const image = (name: string, ...options: string[]) =>
  qemuImg("create", "-q", "-f", "qcow2", ...options, at(name), "8M");
const remove = (volume: string) =>
  server.post("/libvirt/volume/delete", { pool: "default", volume });
const volumes = async () => {
  const { volumes } = expectSuccess(await server.get("/libvirt/volumes?pool=default"));
  return Object.fromEntries(
    volumes.map((one: { name: string; backing: { path: string } | null }) => [
      one.name,
      one.backing?.path ?? null,
    ]),
  );
};
const attach = (uuid: string, name: string) =>
  virsh("attach-disk", uuid, at(name), "vda", "--config", "--subdriver", "qcow2");

/** Images a and b, an overlay on a, and a domain that is off; all of it remembered. */
async function world() {
  await image("a");
  await image("b");
  await image("over", "-b", at("a"), "-F", "qcow2");
  const uuid = await defineDomain("vm");
  await attach(uuid, "over");
  await virsh("pool-refresh", "default");
  await sleep(SETTLE_MS);
  for (let n = 0; n < 2; n++) {
    expectError(await remove("a"), 500, "in_use", /is the base of .*over/);
    expect(await volumes()).toEqual({ a: null, b: null, over: at("a") });
  }
  return uuid;
}

test.each<[string, () => Promise<unknown>]>([
  [
    "rebased in place, of the same size",
    () => qemuImg("rebase", "-u", "-b", at("b"), "-F", "qcow2", at("over")),
  ],
  [
    "swapped by a rename",
    async () => {
      await image("new", "-b", at("b"), "-F", "qcow2");
      renameSync(at("new"), at("over"));
    },
  ],
  [
    "rebased through another overlay",
    async () => {
      await image("mid", "-b", at("b"), "-F", "qcow2");
      await qemuImg("rebase", "-u", "-b", at("mid"), "-F", "qcow2", at("over"));
    },
  ],
])("an overlay that is %s: its new base is guarded at once", async (_what, change) => {
  await world();
  await change();
  expectError(await remove("b"), 500, "in_use", /is the base of/);
  expectSuccess(await remove("a"));
});

test("changed again and again within one tick of the clock: each time the present base is guarded", async () => {
  await world();
  for (let n = 0; n < 6; n++) {
    const [base, other] = n % 2 ? ["a", "b"] : ["b", "a"];
    await qemuImg("rebase", "-u", "-b", at(`${base}`), "-F", "qcow2", at("over"));
    expectError(await remove(`${base}`), 500, "in_use", /is the base of .*over/);
    expect((await volumes()).over).toBe(at(`${base}`));
    expect(other).not.toBe(base);
  }
});

test("a definition that changes: whose disk it is now is guarded, whose it was is free", async () => {
  const uuid = await world();
  expectError(await remove("over"), 500, "in_use", /is used by vm/);
  await virsh("detach-disk", uuid, "vda", "--config");
  await attach(uuid, "b");
  expectError(await remove("b"), 500, "in_use", /is used by vm/);
  expectSuccess(await remove("over"));
  await sleep(SETTLE_MS);
  expectError(await remove("b"), 500, "in_use", /is used by vm/);
  await virsh("start", "--paused", uuid);
  await virsh("detach-disk", uuid, "vda", "--config");
  expectError(await remove("b"), 500, "in_use", /the running domain vm/);
});

test("a domain that is renamed, and one that is made anew under its name", async () => {
  const uuid = await world();
  await virsh("domrename", uuid, "other");
  expectError(await remove("over"), 500, "in_use", /is used by other/);
  await virsh("undefine", uuid);
  await defineDomain("other");
  expectSuccess(await remove("over"));
});

test("a definition's file that a hand has changed: the guard goes by what libvirtd knows", async () => {
  await world();
  const file = "/etc/libvirt/qemu/vm.xml";
  writeFileSync(file, readFileSync(file, "utf8").replace(/<disk .*<\/disk>/s, ""));
  await sleep(SETTLE_MS);
  for (let n = 0; n < 2; n++) {
    const { templates } = expectSuccess(await server.get("/libvirt/template/list"));
    expect(templates).toMatchObject([{ name: "vm", why: ["shut off"] }]);
    expectError(await remove("over"), 500, "in_use", /is used by vm/);
  }
});

test("a pool that comes and goes", async () => {
  await world();
  await virsh("pool-destroy", "default");
  expectError(await server.get("/libvirt/volumes?pool=default"), 500, "not_active", /not active/);
  await virsh("pool-start", "default");
  expectError(await remove("a"), 500, "in_use", /is the base of/);
});
