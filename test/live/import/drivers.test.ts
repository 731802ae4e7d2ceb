/** virt-v2v puts drivers in where it is installed: what it is given, and what follows when it cannot or fails. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect } from "vitest";
import { attribute, children, parseXml } from "../../../runtime/libvirt/xml.ts";
import { bootSector, rawDisks, vmwareOvf } from "../../fixtures/live/appliances.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  parsed,
  programs,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, expectError, expectSuccess } from "../../fixtures/live/virsh.ts";

const FOLDER = "/run/v2v";
const ALLOWED = "/srv/drivers";
const GIVEN = join(FOLDER, "given.xml");

/** The programs as virt-v2v 2.2 has them; what they can do is in a file, and so is whether they fail. */
const bin = programs(join(FOLDER, "bin"), {
  "virt-v2v": `cat ${FOLDER}/can`,
  "virt-v2v-in-place": `cp "$3" ${GIVEN}; echo "$LIBGUESTFS_TMPDIR" >${FOLDER}/tmp; echo "[   0.1] Opening the source"; . ${FOLDER}/then`,
});
const { test, server } = labTest({
  start: () => start(bin, { VIRTIO_WIN: `${FOLDER}/virtio-win` }),
  tidy: wipe,
});

beforeAll(async () => {
  mkdirSync(ALLOWED, { recursive: true });
  await defineNetwork("default");
  await virsh("net-start", "default");
  const [one, two] = await rawDisks(join(ALLOWED, "raw"), bootSector("x"), "second\0");
  for (const os of ["windows9_64Guest", "rhel5_64Guest"]) {
    const folder = join(ALLOWED, os);
    mkdirSync(folder);
    await sh(
      `cd '${folder}'; qemu-img convert -f raw -O vmdk '${one}' a.vmdk; qemu-img convert -f raw -O vmdk '${two}' b.vmdk`,
    );
    const disks = ["a.vmdk", "b.vmdk"].map((file) => ({ file, size: 1, capacity: 24 * 2 ** 20 }));
    writeFileSync(join(folder, "vm.ovf"), vmwareOvf({ name: "vm", os, disks }));
  }
});
afterAll(async () => {
  await clean();
  for (const folder of [ALLOWED, FOLDER]) rmSync(folder, { recursive: true });
});

const ALL = "virt-v2v\nvirt-v2v-2.0\ninput:libvirtxml\nconvert:linux\nconvert:windows\n";
beforeEach(() => {
  rmSync(GIVEN, { force: true });
  writeFileSync(join(FOLDER, "can"), ALL);
  writeFileSync(join(FOLDER, "then"), "exit 0\n");
  writeFileSync(join(FOLDER, "virtio-win"), "");
});

const take = (os: string, more = {}) =>
  server.post("/import/kvm", { image_path: join(ALLOWED, os, "vm.ovf"), ...more });
const buses = async () =>
  children(await parsed("vm"), "devices", "disk", "target").map((target) => target["@bus"]);
const workFolder = () => readFileSync(join(FOLDER, "tmp"), "utf8").trim();
const WINDOWS = "windows9_64Guest";
const OLD = "rhel5_64Guest";

test("Windows gets them by itself, and then virtio disks and interfaces", async () => {
  const data = expectSuccess(await take(WINDOWS), 201);
  expect(data.source).toMatchObject({ guest: WINDOWS, drivers: true });
  expect(await buses()).toEqual(["virtio", "virtio"]);
  expect(children(await parsed("vm"), "devices", "interface", "model")).toMatchObject([
    { "@type": "virtio" },
  ]);
  const given = parseXml(readFileSync(GIVEN, "utf8"), "domain");
  const disks = children(given, "devices", "disk");
  expect(disks.map((disk) => attribute(disk, "file", "source"))).toEqual([
    at("vm.qcow2"),
    at("vm-vdb.qcow2"),
  ]);
  expect(disks.map((disk) => attribute(disk, "type", "driver"))).toEqual(["qcow2", "qcow2"]);
  expect(existsSync(workFolder())).toBe(false);
});

test("Linux on request alone", async () => {
  expect(expectSuccess(await take(OLD), 201).source.drivers).toBe(false);
  await wipe();
  expect(expectSuccess(await take(OLD, { drivers: "virt-v2v" }), 201).source.drivers).toBe(true);
});

test("Windows without drivers for it, or where none are wanted: SATA", async () => {
  rmSync(join(FOLDER, "virtio-win"));
  expect(expectSuccess(await take(WINDOWS), 201).source.drivers).toBe(false);
  expect(await buses()).toEqual(["sata", "sata"]);
  await wipe();
  const before = await everything();
  expectError(
    await take(WINDOWS, { drivers: "virt-v2v" }),
    500,
    "unsupported",
    /^drivers: .*virtio-win/,
  );
  writeFileSync(join(FOLDER, "virtio-win"), "");
  expect(expectSuccess(await take(WINDOWS, { drivers: "none" }), 201).source.drivers).toBe(false);
  await wipe();
  expect(await everything()).toEqual(before);
});

test("a hypervisor that has no virt-v2v says so, before anything is copied", async () => {
  writeFileSync(join(FOLDER, "can"), "");
  const before = await everything();
  expectError(
    await take(OLD, { drivers: "virt-v2v" }),
    500,
    "unsupported",
    /^drivers: .*package virt-v2v/,
  );
  expect(await everything()).toEqual(before);
});

test.each([
  [
    "fails",
    "echo 'virt-v2v-in-place: error: inspection could not detect the source guest' >&2; exit 1",
    "command_failed",
    /inspection could not detect/,
  ],
  [
    "finds no system",
    "echo 'virt-v2v-in-place: error: no operating systems were found' >&2; exit 1",
    "invalid_input",
    /^drivers: no operating system/,
  ],
])("virt-v2v %s: nothing is left", async (_what, then, code, text) => {
  writeFileSync(join(FOLDER, "then"), `${then}\n`);
  const before = await everything();
  const answer = await take(OLD, { drivers: "virt-v2v" });
  expectError(answer, code === "invalid_input" ? 400 : 500, code, text);
  expect(await everything()).toEqual(before);
  expect(existsSync(workFolder())).toBe(false);
});
