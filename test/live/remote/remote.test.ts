/**
 * Every group of endpoints on a hypervisor behind a real sshd, with writes: checked with virsh and qemu-img on
 * the spot. `npm run test:remote` runs all live tests that way.
 */
import { existsSync, mkdirSync } from "node:fs";
import { afterAll, beforeAll, expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, image, machine, sh, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, storedNics } from "../../fixtures/live/virsh.ts";
import { type Sshd, startSshd } from "../../lab/sshd.ts";

let sshd: Sshd;
const { test, server } = labTest({
  start: () => start(undefined, { LIBVIRT_DEFAULT_URI: sshd.uri() }),
});
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(async () => {
  await wipe();
  await sshd.stop();
});

const get = async (path: string) => expectSuccess(await server.get(path));
const post = async (path: string, body: object, status = 200) =>
  expectSuccess(await server.post(path, body), status);
const batch = async (verb: string, body: object) => {
  const answer = await server.post(`/libvirt/batch/${verb}`, body);
  expect(answer).toMatchObject({ status: 200, body: { operation: verb, failed: 0 } });
};
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();

test("the host itself", async () => {
  expect((await get("/status")).hosts).toMatchObject([{ host: "local", reachable: true }]);
  const { hosts } = await get("/hosts");
  expect(hosts).toMatchObject([{ host: "local", state: "up", error: null }]);
  expect(hosts[0].uri).toMatch(/^qemu\+ssh:\/\/\w+@127\.0\.0\.1:\d+\/system$/);
  expect(hosts[0].latency_ms).toBeGreaterThan(0);
  expect((await get("/capabilities")).hypervisor.tools).toMatchObject({ virsh: true });
});

test("networks and interfaces", async () => {
  await machine("it's a vm");
  await post("/libvirt/network/create", { name: "lan ü", subnet: "192.168.77.1" }, 201);
  await post("/libvirt/network/start", { name: "lan ü" });
  expect(await virsh("net-list", "--name")).toBe("lan ü\n");
  const { mac } = await post("/libvirt/interface/attach", {
    vm_name: "it's a vm",
    network: "lan ü",
  });
  expect(await storedNics("it's a vm")).toMatchObject([{ mac, network: "lan ü" }]);
  await post("/libvirt/interface/detach", { vm_name: "it's a vm", mac });
  expect(await storedNics("it's a vm")).toEqual([]);
  await post("/libvirt/network/delete", { name: "lan ü" });
  expect(await virsh("net-list", "--all", "--name")).toBe("");
});

test("volumes, from a file of that hypervisor", async () => {
  mkdirSync("/var/lib/libvirt/in", { recursive: true });
  await sh("head -c 4M /dev/urandom >/var/lib/libvirt/in/disk.raw");
  const upload = { pool: "default", volume: "v w", source_path: "/var/lib/libvirt/in/disk.raw" };
  await post("/libvirt/volume/upload", { ...upload, format: "qcow2" }, 201);
  await sh(`qemu-img compare -f raw -F qcow2 ${upload.source_path} '${at("v w")}'`);
  await post("/libvirt/volume/resize", { pool: "default", volume: "v w", capacity: "8MiB" });
  await post("/libvirt/volume/wipe", { pool: "default", volume: "v w" });
  expect((await get("/libvirt/volume/info?pool=default&volume=v%20w")).format).toBeTruthy();
  await post("/libvirt/volume/delete", { pool: "default", volume: "v w" });
  expect(existsSync(at("v w"))).toBe(false);
  const outside = { ...upload, source_path: "/etc/passwd", format: "raw" };
  expectError(
    await server.post("/libvirt/volume/upload", outside),
    400,
    "invalid_input",
    /allowed/,
  );
});

test("clones, templates, snapshots and the life of a domain", async () => {
  await image("base.qcow2");
  await machine("base", { disks: [at("base.qcow2")] });
  await post("/libvirt/clone", { source: "base", target: "copy" }, 201);
  await post("/libvirt/clone", { source: "base", target: "thin", linked: true }, 201);
  await post("/libvirt/template/create", { domain: "copy", name: "tpl" }, 201);
  await post("/libvirt/template/export", { template: "tpl", export_path: "/var/lib/libvirt/out" });
  expect(await sh("ls /var/lib/libvirt/out/*")).toMatch(/manifest/);
  await post("/libvirt/domain/start", { name: "copy" });
  expect(await state("copy")).toBe("running");
  expect((await get("/libvirt/stats?name=copy")).cpu).toMatchObject({ vcpus: 1 });
  expect((await get("/libvirt/stats/all")).total).toBe(1);
  await batch("pause", { domains: ["copy"] });
  expect(await state("copy")).toBe("paused");
  await batch("stop", { domains: ["copy"], force: true });
  const snapshot = { domain_name: "copy", snapshot_name: "s 1" };
  await post("/libvirt/snapshot/create", snapshot, 201);
  expect(await virsh("snapshot-list", "--domain", "copy", "--name")).toBe("s 1\n");
  await post("/libvirt/snapshot/revert", snapshot);
  await post("/libvirt/snapshot/delete", snapshot);
  await batch("delete", { domains: ["copy", "thin", "tpl"], remove_storage: true });
  expect(await virsh("list", "--all", "--name")).not.toMatch(/copy|thin|tpl/);
});

test("what a batch is told of a domain of another hypervisor", async () => {
  const answer = await server.post("/libvirt/batch/start", { domains: ["elsewhere/vm"] });
  expectError(answer, 400, "invalid_input", /^host: unknown hypervisor "elsewhere"/);
});

test("nothing is left there but the sessions", async () => {
  const left = await sh("ps axo args | grep -E 'sh -c PATH|qemu-img|xargs' | grep -v grep || true");
  expect(left).toBe("");
});
