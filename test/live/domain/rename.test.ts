/** POST /libvirt/domain/rename, looked at with virsh. */
import { expect } from "vitest";
import { bearing, guarded } from "../../fixtures/access.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { machine, sh, start, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

const rename = (name: string, new_name: string) =>
  server.post("/libvirt/domain/rename", { name, new_name });

/** Every domain, as `UUID NAME`. */
const domains = async () =>
  (await virsh("list", "--all", "--uuid", "--name")).split("\n").filter((line) => line !== "");

test.each([`it's  "new"; #`, "7", "ünï"])("to %s", async (name) => {
  const uuid = await machine("vm");
  const answer = await rename("vm", name);
  expect(expectSuccess(answer)).toEqual({ name, uuid, previous_name: "vm" });
  expect(answer.body.message).toBe(`Domain vm renamed to ${name}`);
  expect(await domains()).toEqual([`${uuid} ${name}`]);
  expectSuccess(await rename(name, "vm"));
  expect(await domains()).toEqual([`${uuid} vm`]);
});

test("disks, snapshots and autostart stay", async () => {
  await sh("qemu-img create -q -f qcow2 one.qcow2 10M");
  await machine("vm", { disks: ["/var/lib/libvirt/images/one.qcow2"] });
  await virsh("snapshot-create-as", "vm", "first");
  await virsh("autostart", "vm");
  expectSuccess(await rename("vm", "new"));
  expect(await virsh("domblklist", "new")).toContain("/var/lib/libvirt/images/one.qcow2");
  expect(await virsh("dominfo", "new")).toMatch(/Autostart: +enable/);
  expect((await virsh("snapshot-list", "new", "--name")).trim()).toBe("first");
  await virsh("snapshot-revert", "new", "first");
  expect(await virsh("list", "--all", "--name")).toMatch(/^new\n/);
  await virsh("snapshot-delete", "new", "first");
});

test("a domain that runs, is paused or has a managed save keeps its name", async () => {
  const uuid = await machine("vm");
  await virsh("start", "vm");
  expectError(await rename("vm", "new"), 500, "in_use", /^name: domain vm is running/);
  await virsh("suspend", "vm");
  expectError(await rename("vm", "new"), 500, "in_use", /^name: domain vm is paused/);
  await virsh("managedsave", "vm");
  expectError(await rename("vm", "new"), 500, "in_use", /^name: domain vm has a managed save/);
  expect(await domains()).toEqual([`${uuid} vm`]);
  await virsh("managedsave-remove", "vm");
  expectSuccess(await rename("vm", "new"));
});

test("a name that is taken, a domain that is not there, bad names", async () => {
  await machine("vm");
  await machine("other");
  const before = await domains();
  expectError(await rename("vm", "other"), 500, "already_exists", /^new_name: domain 'other'/);
  expectError(await rename("vm", "vm"), 500, "already_exists", /^new_name: domain 'vm'/);
  expectError(await rename("nowhere", "new"), 404, "not_found", /nowhere/);
  expectError(await rename("vm", "a/b"), 400, "invalid_input", /^new_name: /);
  expectError(await rename("vm", "--all"), 400, "invalid_input", /^new_name: /);
  expect(await domains()).toEqual(before);
});

test("a token for some domains needs both names", async () => {
  const access = guarded();
  const token = await access.token("web", { role: "admin", domains: ["web-*"] });
  const limited = await start(undefined, access.env);
  const ask = (name: string, new_name: string) =>
    limited.post(
      "/libvirt/domain/rename",
      { name, new_name },
      { headers: { ...bearing(token).headers, "Content-Type": "application/json" } },
    );
  try {
    await machine("web-1");
    await machine("db-1");
    const before = await domains();
    for (const [name, new_name, missing] of [
      ["db-1", "web-2", "domain:db-1"],
      ["web-1", "db-2", "domain:db-2"],
    ] as const) {
      const answer = await ask(name, new_name);
      expectError(answer, 403, "forbidden", /limited to web-\*/);
      expect(answer.body.missing).toBe(missing);
    }
    expect(await domains()).toEqual(before);
    expectSuccess(await ask("web-1", "web-2"));
  } finally {
    await limited.stop();
    access.remove();
  }
});
