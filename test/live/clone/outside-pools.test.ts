/** Disks that no pool has, or that a pool has by another name: clones, templates and exports of them. */
import { mkdirSync, readdirSync, rmSync, statSync, symlinkSync } from "node:fs";
import { afterEach, beforeEach, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  imageInfo,
  machine,
  names,
  notes,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

/** In an allowed folder, and in no pool. */
const VMS = "/var/lib/libvirt/vms";
const FOLDERS = [VMS, "/var/lib/libvirt/data", "/opt/vms"];
beforeEach(() => {
  for (const folder of FOLDERS) mkdirSync(folder, { recursive: true });
});
afterEach(() => {
  for (const folder of FOLDERS) rmSync(folder, { recursive: true, force: true });
});

/** An image of the file's own bytes, for the owner of nobody's. */
async function file(path: string, size = "8M") {
  await sh(`head -c 1M /dev/urandom >'${path}.raw'; truncate -s ${size} '${path}.raw'
    qemu-img convert -O ${path.endsWith(".qcow2") ? "qcow2" : "raw"} '${path}.raw' '${path}'
    rm '${path}.raw'; chown 64055:108 '${path}'; chmod 640 '${path}'`);
  return path;
}
const clone = (input: object) =>
  server.post("/libvirt/clone", { source: "base", target: "copy", ...input });

describe("a folder that no pool has", () => {
  test.for(["disk.qcow2", "disk.img", "base vm & <x>.qcow2"])(
    "%s: clone, linked, multiple, template, deploy, export",
    async (name) => {
      const path = await file(`${VMS}/${name}`);
      await machine("base", { disks: [path] });
      const ending = name.slice(name.lastIndexOf("."));
      const beside = (target: string, last = ending) =>
        name.includes("base") ? `${VMS}/${target} vm & <x>${last}` : `${VMS}/${target}-vda${last}`;

      const data = expectSuccess(await clone({}), 201);
      expect(data.disks[0].path).toBe(beside("copy"));
      expect(await diskPaths("copy")).toEqual([beside("copy")]);
      expect(await same(path, beside("copy"))).toBe(true);
      expect(statSync(beside("copy"))).toMatchObject({ uid: 64055, gid: 108, mode: 0o100640 });
      expect((await imageInfo(beside("copy")))["actual-size"]).toBeLessThan(2 * 2 ** 20);

      expectSuccess(await clone({ target: "over", linked: true }), 201);
      const overlay = await imageInfo(beside("over", ".qcow2"));
      expect(overlay).toMatchObject({ "backing-filename": path, "virtual-size": 8 * 2 ** 20 });
      for (const domain of ["copy", "over"]) {
        await virsh("start", "--domain", domain);
        await virsh("destroy", "--domain", domain);
      }

      const many = { source: "base", name_prefix: "n", count: 2 };
      const made = await server.post("/libvirt/clone/multiple", many);
      expect(made.body).toMatchObject({ successful: 2 });
      const template = { domain: "base", name: "gold", seal: false };
      expectSuccess(await server.post("/libvirt/template/create", template), 201);
      const deploy = { template: "gold", name: "web" };
      expectSuccess(await server.post("/libvirt/template/deploy", deploy), 201);
      const exported = { template: "gold", export_path: "/var/lib/libvirt/exports" };
      expectSuccess(await server.post("/libvirt/template/export", exported));
      expect(await names()).toEqual(["base", "copy", "gold", "n-1", "n-2", "over", "web"]);
      expect(notes()).toEqual([]);
    },
  );

  test("into a pool, and out of one", async () => {
    await machine("base", { disks: [await file(`${VMS}/a.qcow2`), await file(at("b.qcow2"))] });
    const files = [at("x.qcow2"), `${VMS}/y.qcow2`];
    expectSuccess(await clone({ files }), 201);
    expect(await diskPaths("copy")).toEqual(files);
    expect(await virsh("vol-list", "default")).toContain("x.qcow2");
    expect(await same(`${VMS}/y.qcow2`, at("b.qcow2"))).toBe(true);
  });

  test("a name that is taken stays whose it is, also by a link that leads nowhere", async () => {
    await machine("base", { disks: [await file(`${VMS}/base.qcow2`)] });
    await file(`${VMS}/copy.qcow2`);
    const before = await imageInfo(`${VMS}/copy.qcow2`);
    for (const linked of [false, true])
      expectError(await clone({ linked }), 500, "already_exists", /copy\.qcow2 already exists/);
    expect(await imageInfo(`${VMS}/copy.qcow2`)).toEqual(before);
    symlinkSync("/opt/vms/x", `${VMS}/link.qcow2`);
    const answer = await clone({ files: [`${VMS}/link.qcow2`] });
    expectError(answer, 500, "already_exists", /link\.qcow2 already exists/);
    expect(readdirSync("/opt/vms")).toEqual([]);
    expect(await names()).toEqual(["base"]);
  });

  test("what may not be touched is a 400 that names the field", async () => {
    await machine("base", { disks: [await file("/opt/vms/base.qcow2")] });
    symlinkSync("/opt/vms", `${VMS}/link`);
    for (const input of [
      {},
      { linked: true },
      { files: ["/etc/copy.qcow2"] },
      { files: [`${VMS}/link/copy.qcow2`] },
      { files: [`${VMS}/../../../../opt/vms/copy.qcow2`] },
      { files: ["/dev/shm/copy.qcow2"] },
    ])
      expectError(
        await clone(input),
        400,
        "invalid_input",
        /^files: .* in no active pool .* allowed/,
      );
    expectSuccess(await clone({ files: [`${VMS}/copy.qcow2`] }), 201);
    expect(await same(`${VMS}/copy.qcow2`, "/opt/vms/base.qcow2")).toBe(true);
    expect(readdirSync("/opt/vms")).toEqual(["base.qcow2"]);
  });

  test("no room for the second disk: the first one goes too", async ({ pool }) => {
    const small = await pool("small", "1m");
    mkdirSync(`${small}/sub`);
    await machine("base", { disks: [await file(`${VMS}/a.img`), await file(`${VMS}/b.qcow2`)] });
    const answer = await clone({ files: [`${VMS}/x.img`, `${small}/sub/y.qcow2`] });
    expectError(answer, 500, "no_space", /No space left/);
    expect([readdirSync(VMS).sort(), readdirSync(`${small}/sub`)]).toEqual([
      ["a.img", "b.qcow2"],
      [],
    ]);
    expect(notes()).toEqual([]);
  });

  test("a failure leaves nothing", async () => {
    const path = await file(`${VMS}/base.qcow2`);
    await machine("base", { disks: [path, `${VMS}/missing.qcow2`] });
    for (const linked of [false, true]) {
      const answer = await clone({ linked, files: [`${VMS}/x.qcow2`, `${VMS}/y.qcow2`] });
      expectError(answer, 404, "not_found", /missing\.qcow2 does not exist/);
    }
    expect(readdirSync(VMS)).toEqual(["base.qcow2"]);
    expect(notes()).toEqual([]);
  });
});

test("a sub-folder of a pool", async () => {
  mkdirSync(at("vm1"));
  await machine("base", { disks: [await file(at("vm1/disk.qcow2"))] });
  expectSuccess(await clone({}), 201);
  expect(await diskPaths("copy")).toEqual([at("vm1/copy-vda.qcow2")]);
  expectSuccess(await clone({ target: "over", linked: true, files: [at("o.qcow2")] }), 201);
  expect((await imageInfo(at("o.qcow2")))["backing-filename"]).toBe(at("vm1/disk.qcow2"));
});

test("a pool's folder by its other name", async () => {
  symlinkSync("/var/lib/libvirt/data", "/var/lib/libvirt/vms/pool");
  await virsh("pool-create-as", "linked", "dir", "--target", `${VMS}/pool`);
  try {
    await machine("base", { disks: [await file("/var/lib/libvirt/data/base.qcow2")] });
    expectSuccess(await clone({}), 201);
    expectSuccess(await clone({ target: "b", files: ["/var/lib/libvirt/data/b.qcow2"] }), 201);
    expect(await same("/var/lib/libvirt/data/copy.qcow2", "/var/lib/libvirt/data/base.qcow2")).toBe(
      true,
    );
    for (const name of ["copy.qcow2", "b.qcow2"])
      expect(await virsh("vol-list", "linked")).toContain(name);
  } finally {
    await virsh("pool-destroy", "linked");
  }
});

describe("a raw disk is as long as its file, whatever the guest has written to it", () => {
  /** The header of a LUKS volume whose payload begins at 2 MiB, as cryptsetup writes it. */
  const LUKS =
    "printf 'LUKS\\272\\276\\000\\001aes' >f; printf 'xts-plain64' | dd of=f bs=1 seek=40; printf sha256 | dd of=f bs=1 seek=72; printf '\\000\\000\\020\\000\\000\\000\\000\\100' | dd of=f bs=1 seek=104; truncate -s 592 f";
  const HEADERS: [string, string][] = [
    ["LUKS", LUKS],
    ["a qcow2 of another size", "qemu-img create -q -f qcow2 f 1G; truncate -s 65536 f"],
    ["a VHD", "qemu-img create -q -f vpc f 8M; truncate -s 1024 f"],
  ];
  test.for(HEADERS)("%s", async ([, header]) => {
    await sh(`cd ${VMS}; (${header}) 2>/dev/null; truncate -s 64M base.img
      dd if=f of=base.img conv=notrunc 2>/dev/null; cp base.img ${at("base.img")}; rm f`);
    for (const path of [at("base.img"), `${VMS}/base.img`]) {
      await virsh("pool-refresh", "default");
      await machine("base", { disks: [path] });
      expectSuccess(await clone({}), 201);
      const [copy = ""] = await diskPaths("copy");
      await sh(`cmp '${path}' '${copy}'`);
      expectSuccess(await clone({ target: "over", linked: true }), 201);
      const [overlay = ""] = await diskPaths("over");
      expect((await imageInfo(overlay))["virtual-size"]).toBe(64 * 2 ** 20);
      await virsh("start", "--domain", "over");
      await wipe();
    }
  });
});

test("a LUN becomes a disk where its copy is a file", async () => {
  const path = at("lun.raw");
  await file(path);
  const lun = xml`<disk type="block" device="lun" rawio="no"><driver name="qemu" type="raw"/><source dev="${path}"><reservations managed="yes"/></source><target dev="sda" bus="scsi"/></disk>`;
  await machine("base", { disks: [lun] });
  expectSuccess(await clone({}), 201);
  const text = await virsh("dumpxml", "--domain", "copy");
  expect(text).toMatch(/<disk type='file' device='disk'>/);
  expect(text).not.toContain("reservations");
});
