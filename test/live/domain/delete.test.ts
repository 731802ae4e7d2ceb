/** POST /libvirt/domain/delete, looked at with virsh and in the pool's folder. */
import { existsSync } from "node:fs";
import { describe, expect } from "vitest";
import { bearing, guarded } from "../../fixtures/access.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  image,
  machine,
  names,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

const remove = (name: string, more = {}) =>
  server.post("/libvirt/domain/delete", { name, ...more });

test("off: it goes, and its disks stay", async () => {
  const uuid = await machine("it's vm", { disks: [await image("a.qcow2")] });
  const answer = await remove("it's vm");
  expect(expectSuccess(answer)).toEqual({ name: "it's vm", uuid, snapshots_deleted: [] });
  expect(answer.body.message).toBe("Domain it's vm deleted");
  expect([await names(), existsSync(at("a.qcow2"))]).toEqual([[], true]);
});

test("with its storage: what is its alone goes, the rest is named with the reason", async () => {
  const [own, shared] = [await image("own.qcow2"), await image("shared.qcow2")];
  await machine("other", { disks: [shared] });
  const uuid = await machine("vm", { disks: [own, shared] });
  const data = expectSuccess(await remove(uuid, { remove_storage: true }));
  expect(data).toEqual({
    ...{ name: "vm", uuid, snapshots_deleted: [], removed: [own] },
    kept: [{ path: shared, reason: "domain other uses it" }],
  });
  expect([await names(), existsSync(own), existsSync(shared)]).toEqual([["other"], false, true]);
});

test("running and paused: only by force", async () => {
  const own = await image("own.qcow2");
  await machine("vm", { disks: [own] });
  await virsh("start", "vm");
  const before = await everything();
  expectError(await remove("vm", { remove_storage: true }), 500, "in_use", /^name: .*is running/);
  await virsh("suspend", "vm");
  expectError(await remove("vm", { remove_storage: true }), 500, "in_use", /^name: .*is paused/);
  expect((await everything()).domains).toEqual(before.domains);
  expectSuccess(await remove("vm", { remove_storage: true, force: true }));
  expect([await names(), existsSync(own)]).toEqual([[], false]);
});

test("snapshots and a managed save go with it; snapshots: false refuses", async () => {
  const own = await image("own.qcow2");
  await machine("vm", { disks: [own] });
  await virsh("snapshot-create-as", "vm", "s1");
  await virsh("start", "vm");
  await virsh("managedsave", "vm");
  const answer = await remove("vm", { snapshots: false });
  expectError(answer, 500, "in_use", /^snapshots: domain vm has s1/);
  expect(answer.body.snapshots).toEqual(["s1"]);
  const data = expectSuccess(await remove("vm", { remove_storage: true }));
  expect(data).toMatchObject({ snapshots_deleted: ["s1"], removed: [own] });
  expect(await names()).toEqual([]);
  expect(existsSync("/var/lib/libvirt/qemu/save/vm.save")).toBe(false);
});

test("a transient domain is gone once it is off", async () => {
  await machine("vm");
  await virsh("start", "vm");
  await virsh("undefine", "vm");
  expectSuccess(await remove("vm", { force: true }));
  expect(await names()).toEqual([]);
});

describe("refused", () => {
  test("a base of another image, a domain that is not there", async () => {
    const base = await image("base.qcow2");
    await machine("vm", { disks: [base] });
    expectSuccess(
      await server.post("/libvirt/clone", { source: "vm", target: "child", linked: true }),
      201,
    );
    const before = await everything();
    const answer = await remove("vm", { remove_storage: true, force: true });
    expectError(answer, 500, "in_use", /child\S*\.qcow2, which must go first/);
    expectError(await remove("gone"), 404, "not_found", /'gone'/);
    expect(await everything()).toEqual(before);
  });

  test("a domain that is not the caller's", async () => {
    const access = guarded();
    const token = await access.token("web", { role: "admin", domains: ["web-*"] });
    const limited = await start(undefined, access.env);
    const headers = { ...bearing(token).headers, "Content-Type": "application/json" };
    try {
      await machine("db");
      await machine("web-1");
      const ask = (name: string) => limited.post("/libvirt/domain/delete", { name }, { headers });
      expectError(await ask("db"), 403, "forbidden", /limited to web-\*/);
      expectSuccess(await ask("web-1"));
      expect(await names()).toEqual(["db"]);
    } finally {
      await limited.stop();
      access.remove();
    }
  });
});
