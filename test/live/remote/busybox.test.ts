/** A hypervisor whose tools are BusyBox's, not GNU's: everything that works with files there. */
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import {
  at,
  diskPaths,
  image,
  imageInfo,
  machine,
  names,
  STATE,
  same,
  sh,
  sha256,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { BEFORE_9_9, REVERTS_OVERLAYS } from "../../fixtures/live/release.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { busyboxTools } from "../../lab/busybox.ts";
import { type Sshd, startSshd } from "../../lab/sshd.ts";
import type { TestServer } from "../../server.ts";

const TOOLS = "/run/busybox";
const VMS = "/var/lib/libvirt/vms";
let sshd: Sshd;
let server: TestServer;
beforeAll(async () => {
  await busyboxTools(TOOLS, ["virsh", "qemu-img", "qemu-io"]);
  sshd = await startSshd({ config: [`SetEnv PATH=${TOOLS}`] });
  server = await start(undefined, { LIBVIRT_DEFAULT_URI: sshd.uri() });
  mkdirSync(VMS);
});
afterAll(async () => {
  await server.stop();
  await sshd.stop();
  for (const folder of [TOOLS, VMS]) rmSync(folder, { recursive: true });
});
afterEach(async () => {
  await wipe();
  for (const name of readdirSync(VMS)) rmSync(`${VMS}/${name}`, { recursive: true });
});

const post = (path: string, input: object) => server.post(`/libvirt/${path}`, input);
const done = async (path: string, input: object, status = 200) =>
  expectSuccess(await post(path, input), status);
const notes = () => readdirSync(`${STATE}/hypersdk/work`);

test("its PATH has these tools alone", async () => {
  await expect(sh(`PATH=${TOOLS} realpath -mz /`)).rejects.toThrow(/realpath: -mz: No such file/);
  await machine("base", { disks: [await image("base.qcow2")] });
  const answer = await post("template/create", { domain: "base", name: "t", seal: true });
  expectError(answer, 500, "unsupported", /^seal needs virt-sysprep/);
});

test("volumes: copied, resized, wiped, trimmed, deleted", async () => {
  const made = { pool: "default", name: "v", format: "qcow2", capacity: "8MiB" };
  await done("volume/create", made, 201);
  await done("volume/clone", { pool: "default", source_volume: "v", target_volume: "w" }, 201);
  await done("volume/resize", { pool: "default", volume: "w", capacity: "16MiB" });
  for (const algorithm of ["zero", "trim"])
    await done("volume/wipe", { pool: "default", volume: "w", algorithm });
  expect(await imageInfo(at("w"))).toMatchObject({ format: "qcow2", "virtual-size": 16 * 2 ** 20 });
  for (const volume of ["v", "w"]) await done("volume/delete", { pool: "default", volume });
});

describe("upload", () => {
  test.for(["x.raw", "x.qcow2", "x y\n.qcow2"])("of %j", async (name) => {
    await image("x.raw");
    await image("x.qcow2");
    const source_path = `${VMS}/${name.replace("\n", "")}`;
    await sh(`mv '${name.endsWith("raw") ? "x.raw" : "x.qcow2"}' '${source_path}'`);
    await done("volume/upload", { pool: "default", volume: "v", source_path }, 201);
    expect(await same(at("v"), source_path)).toBe(true);
  });

  test("by a link out of the allowed folders is refused", async () => {
    writeFileSync("/run/secret.raw", "x".repeat(4096));
    for (const [link, target] of [
      ["file", "/run/secret.raw"],
      ["folder", "/run"],
      ["nowhere", "/run/nowhere/x"],
    ] as const) {
      rmSync(`${VMS}/${link}`, { force: true });
      symlinkSync(target, `${VMS}/${link}`);
      const source_path = link === "folder" ? `${VMS}/folder/secret.raw` : `${VMS}/${link}`;
      const answer = await post("volume/upload", { pool: "default", volume: "v", source_path });
      expectError(answer, 400, "invalid_input", /^source_path: .* is not in an allowed folder/);
    }
  });
});

test("clones, in a pool and outside, linked, with firmware", async () => {
  const nvram = "/var/lib/libvirt/qemu/nvram/base_VARS.fd";
  mkdirSync("/var/lib/libvirt/qemu/nvram", { recursive: true });
  await sh(`cp /usr/share/OVMF/OVMF_VARS_4M.fd ${nvram}; chmod 640 ${nvram}`);
  const os = xml`<os><type arch="x86_64" machine="q35">hvm</type>
    <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram>${nvram}</nvram></os>`;
  await image("base.qcow2");
  await image("out.raw");
  await sh(`mv out.raw ${VMS}/base.raw; chown 64055:108 ${VMS}/base.raw`);
  await machine("base", { disks: [at("base.qcow2"), `${VMS}/base.raw`], os });
  await done("clone", { source: "base", target: "copy" }, 201);
  const [inside = "", outside = ""] = await diskPaths("copy");
  expect([inside, outside]).toEqual([at("copy.qcow2"), `${VMS}/copy.raw`]);
  expect(await same(outside, `${VMS}/base.raw`)).toBe(true);
  expect(statSync(outside)).toMatchObject({ uid: 64055, gid: 108 });
  expect(statSync(nvram.replace("base", "copy")).mode).toBe(statSync(nvram).mode);
  await done("clone", { source: "base", target: "over", linked: true }, 201);
  const taken = await post("clone", { source: "base", target: "copy2", files: [at("z"), outside] });
  expectError(taken, 500, "already_exists", /already exists/);
  expect(await names()).toEqual(["base", "copy", "over"]);
  expect(notes()).toEqual([]);
  const removed = await post("batch/delete", { domains: ["over", "copy"], remove_storage: true });
  expect(removed.body).toMatchObject({ successful: 2 });
  expect(readdirSync(VMS)).toEqual(["base.raw"]);
  const kept = removed.body.results.flatMap((one: { kept: object[] }) => one.kept);
  expect(kept).toEqual(
    [at("base.qcow2"), `${VMS}/base.raw`].map((path) => ({
      ...{ path, reason: expect.stringMatching(/^it is below/) },
    })),
  );
});

test("a file of no pool stays while an overlay that no domain has lies beside it", async () => {
  const base = `${VMS}/a b.raw`;
  await sh(
    `truncate -s 8M '${base}'; qemu-img create -q -f qcow2 -b '${base}' -F raw ${VMS}/o.qcow2`,
  );
  const input = { domains: ["vm"], remove_storage: true };
  await machine("vm", { disks: [base] });
  const [first] = (await post("batch/delete", input)).body.results;
  const reason = `it is the base of ${VMS}/o.qcow2`;
  expect(first).toMatchObject({ removed: [], kept: [{ path: base, reason }] });
  rmSync(`${VMS}/o.qcow2`);
  await machine("vm", { disks: [base] });
  const [second] = (await post("batch/delete", input)).body.results;
  expect(second).toMatchObject({ removed: [base], kept: [] });
  expect(readdirSync(VMS)).toEqual([]);
});

test("a guard sees an overlay that was made between two calls, and one that has gone", async () => {
  await image("base.qcow2");
  const volume = { pool: "default", volume: "base.qcow2" };
  const listed = async () =>
    expectSuccess(await server.get("/libvirt/volumes?pool=default")).volumes.map(
      ({ name }: { name: string }) => name,
    );
  expect(await listed()).toEqual(["base.qcow2"]);
  await done("volume/resize", { ...volume, capacity: "80MiB" });
  await sh(`qemu-img create -q -f qcow2 -b ${at("base.qcow2")} -F qcow2 'o  v.qcow2'`);
  expectError(await post("volume/delete", volume), 500, "in_use", /is the base of .*o {2}v\.qcow2/);
  expect(await listed()).toEqual(["base.qcow2", "o  v.qcow2"]);
  await sh("qemu-img rebase -q -u -b '' 'o  v.qcow2'");
  await done("volume/delete", volume);
  expect(readdirSync(at(""))).toEqual(["o  v.qcow2"]);
});

test.runIf(!REVERTS_OVERLAYS)(
  `a disk-only snapshot is reverted by a mv without -T ${BEFORE_9_9}`,
  async () => {
    const mv = `${TOOLS}/mv`;
    rmSync(mv);
    const script = `#!${TOOLS}/sh\ncase " $* " in *" -T "*) exit 1;; esac\nexec ${TOOLS}/busybox mv "$@"\n`;
    writeFileSync(mv, script, { mode: 0o755 });
    await machine("vm", { disks: [await image("disk.qcow2")] });
    const snapshot = { domain_name: "vm", snapshot_name: "s1" };
    await done("snapshot/create", { ...snapshot, disk_only: true }, 201);
    await sh("qemu-io -f qcow2 -c 'write -P 0x33 0 64k' disk.s1");
    await done("snapshot/revert", snapshot);
    expect(await same(at("disk.s1"), at("disk.qcow2"))).toBe(true);
    expect(await diskPaths("vm")).toEqual([at("disk.s1")]);
    expect(notes()).toEqual([]);
  },
);

test("export: complete, and a failure takes back the folders that it made", async () => {
  await machine("base", { disks: [await image("base.qcow2")] });
  const folder = `${VMS}/new/deep`;
  const input = { template: "base", export_path: folder };
  const { path, files } = await done("template/export", input);
  for (const { name, size, sha256: sum } of files) {
    expect(statSync(`${path}/${name}`).size).toBe(size);
    expect(sha256(`${path}/${name}`)).toBe(sum);
  }
  expectError(await post("template/export", input), 500, "already_exists", /exists already/);
  rmSync(at("base.qcow2"));
  const other = { ...input, export_path: `${VMS}/other/deep` };
  expect((await post("template/export", other)).status).toBe(500);
  expect(readdirSync(VMS)).toEqual(["new"]);
  expect(readdirSync(folder)).toEqual(["base"]);
  await virsh("pool-refresh", "default");
});
