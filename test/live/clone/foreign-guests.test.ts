/**
 * Guests without cloud-init, as Windows and BSDs are: disks with their boot sectors and file systems, of which blkid
 * tells what they are. They stay as they are to the last byte, and no answer says that anything was set up in them.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { readDisks } from "../../../runtime/libvirt/disk.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  GUESTFS,
  machine,
  parsed,
  same,
  sh,
  sha256,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { defineNetwork, expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const { test, server } = labTest({ start: () => start(undefined, GUESTFS) });
const run = promisify(execFile);

const SECTOR = 512;
const [DISK, FIRST] = [16 * 2 ** 20, 2048 * SECTOR];
const SIGNATURE = 0xaa55;
/** cli, sti, hlt, and again: it takes no time on a core. */
const HALT = "fafbf4ebfd";

/** A disk with one active partition of this type. */
function partitioned(type: number, fill: (partition: Buffer) => void): Buffer {
  const disk = Buffer.alloc(DISK);
  disk.set(Buffer.from(HALT, "hex"));
  disk.set([0x80, 0, 0, 0, type], 446);
  disk.writeUInt32LE(FIRST / SECTOR, 454);
  disk.writeUInt32LE((DISK - FIRST) / SECTOR, 458);
  disk.writeUInt16LE(SIGNATURE, 510);
  fill(disk.subarray(FIRST));
  return disk;
}

/** NTFS: the boot sector of Windows, and the first records of the file table. */
function ntfs(partition: Buffer) {
  const [CLUSTER, TABLE] = [8 * SECTOR, 4];
  partition.write("\xeb\x52\x90NTFS    ", 0, "latin1");
  partition.writeUInt16LE(SECTOR, 11);
  partition.set([CLUSTER / SECTOR], 13);
  partition.set([0xf8], 21);
  partition.writeBigUInt64LE(BigInt(partition.length / SECTOR - 1), 40);
  partition.writeBigUInt64LE(BigInt(TABLE), 48);
  partition.writeInt8(-10, 64); // records of 2^10 bytes
  partition.write("BOOTMGR is missing\r\nPress Ctrl+Alt+Del to restart", 0x180);
  partition.writeUInt16LE(SIGNATURE, 510);
  for (let i = 0; i < 4; i++) partition.write("FILE", TABLE * CLUSTER + i * 1024);
}

/** The superblock of UFS 2. */
const ufs = (partition: Buffer) => partition.writeUInt32LE(0x19540119, 65536 + 1372);

interface Guest {
  name: string;
  disk: Buffer;
  fileSystem: string;
  /** Of its disk; the drive of a seed is where its guest has a driver. */
  bus: string;
  target: string;
  seedBus: string;
}

const GUESTS: Guest[] = [
  {
    ...{ name: "windows", disk: partitioned(0x07, ntfs), fileSystem: "ntfs" },
    ...{ bus: "ide", target: "hda", seedBus: "ide" },
  },
  {
    ...{ name: "freebsd", disk: partitioned(0xa5, ufs), fileSystem: "ufs" },
    ...{ bus: "virtio", target: "vda", seedBus: "scsi" },
  },
];

const deploy = (input: object) => server.post("/libvirt/template/deploy", input);
const AGENT = xml`<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>`;
const CLOUD_INIT = { hostname: "web", password: "hunter2", run_commands: ["touch /ran"] };

beforeAll(async () => {
  const address = xml`<ip address="10.79.0.1" prefix="24"><dhcp><range start="10.79.0.100" end="10.79.0.199"/></dhcp></ip>`;
  await defineNetwork("default", address);
  await virsh("net-start", "default");
  for (const { name, disk, fileSystem, bus, target } of GUESTS) {
    const file = at(`${name}.raw`);
    writeFileSync(file, disk);
    const probe = ["-p", "-O", `${FIRST}`, "-o", "value", "-s", "TYPE", file];
    expect((await run("blkid", probe)).stdout).toBe(`${fileSystem}\n`);
    const own = xml`<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${file}"/><target dev="${target}" bus="${bus}"/></disk>`;
    await machine(name, { disks: [own], devices: AGENT, network: "default" });
  }
  await virsh("pool-refresh", "default");
});
afterAll(async () => {
  await wipe();
  await virsh("net-destroy", "default");
  await virsh("net-undefine", "default");
});

const devices = async (name: string) =>
  readDisks(await parsed(name)).map(({ target, device, bus, path }) => [target, device, bus, path]);
const running = async (name: string) => (await virsh("domstate", name)).trim() === "running";
const remove = async (name: string) => {
  const input = { domains: [name], remove_storage: true };
  const [{ removed }] = (await server.post("/libvirt/batch/delete", input)).body.results;
  return removed.sort();
};

describe.each(GUESTS)("a disk like that of $name", ({ name, disk, bus, target, seedBus }) => {
  const template = name;
  const original = at(`${name}.raw`);
  const digest = createHash("sha256").update(disk).digest("hex");

  test("deployed as a copy: byte for byte, with the seed in a drive of its own", async () => {
    const input = { template, name: "copy", cloud_init: CLOUD_INIT, start: true };
    const answer = await deploy(input);
    const data = expectSuccess(answer, 201);
    expect(answer.body.message).toBe(`Domain copy deployed from ${template} and started`);
    expect(data).not.toHaveProperty("guest"); // nobody has asked for it, and nobody knows
    expect(data).toMatchObject({ linked: false, started: true, seed: { volume: "copy-seed.iso" } });
    const [own, drive, ...others] = await devices("copy");
    expect(own).toEqual([target, "disk", bus, at("copy.raw")]);
    expect(drive).toEqual([expect.any(String), "cdrom", seedBus, at("copy-seed.iso")]);
    expect(others).toEqual([]);
    expect(await running("copy")).toBe(true);
    await virsh("destroy", "copy");
    expect([sha256(at("copy.raw")), sha256(original)]).toEqual([digest, digest]);
    expect(await remove("copy")).toEqual([at("copy-seed.iso"), at("copy.raw")]);
  });

  test("deployed as an overlay, and waited for: a clear end, and nothing in the overlay", {
    timeout: slow(120_000),
  }, async () => {
    const signs = ["cloud-init", "agent", "address", "ssh"] as const;
    for (const sign of signs) {
      const wait = { for: sign, timeout: 2, eject: sign === "cloud-init" };
      const input = { template, name: "late", linked: true, start: true, wait };
      const answer = await deploy({ ...input, cloud_init: CLOUD_INIT });
      const missing = /^(agent|cloud-init)$/.test(sign) ? ".*agent.*" : "no address";
      const text = `^wait: domain late is there and running, but after [\\d.]+ s its guest was not: ${missing}; the domain is deployed and stays$`;
      expectError(answer, 504, "timed_out", new RegExp(text));
      expect(answer.body).toMatchObject({ domain: "late", state: "running", addresses: [] });
      expect(JSON.stringify(answer.body)).not.toMatch(/cloud_init|ejected|hunter2/);
      expect(await devices("late")).toContainEqual([
        ...[expect.any(String), "cdrom", seedBus, at("late-seed.iso")],
      ]);
      await virsh("destroy", "late");
      expect(await same(at("late.qcow2"), original)).toBe(true);
      const map = JSON.parse(await sh("qemu-img map --output=json late.qcow2"));
      expect(map.filter(({ depth }: { depth: number }) => depth === 0)).toEqual([]);
      expect(await remove("late")).toEqual([at("late-seed.iso"), at("late.qcow2")]);
    }
    expect(sha256(original)).toBe(digest);
  });

  test("a new domain on a copy of it: byte for byte as well", {
    timeout: slow(60_000),
  }, async () => {
    const disks = [{ image: `${name}.raw`, format: "raw", bus: bus === "ide" ? "sata" : bus }];
    const wait = { for: "cloud-init", timeout: 2 };
    const input = { name: "new", memory: 256, disks, cloud_init: CLOUD_INIT, start: true, wait };
    const answer = await server.post("/libvirt/domain/create", input);
    const text =
      /^wait: domain new is there and running, .*agent.*; the domain is created and stays$/;
    expectError(answer, 504, "timed_out", text);
    const [own, drive] = await devices("new");
    expect(own?.slice(1)).toEqual(["disk", bus === "ide" ? "sata" : bus, at("new.raw")]);
    const beside = bus === "ide" ? "sata" : "scsi";
    expect(drive?.slice(1)).toEqual(["cdrom", beside, at("new-seed.iso")]);
    await virsh("destroy", "new");
    expect([sha256(at("new.raw")), sha256(original)]).toEqual([digest, digest]);
    expect(await remove("new")).toEqual([at("new-seed.iso"), at("new.raw")]);
  });
});

test("sealing such a disk, and customizing it, is refused, and nothing is left", {
  timeout: slow(480_000),
}, async () => {
  const before = await everything();
  const seal = { domain: "windows", name: "gold", seal: true };
  expectError(
    await server.post("/libvirt/template/create", seal),
    400,
    "invalid_input",
    /^seal: no operating system was found on the disks/,
  );
  expectError(
    await deploy({ template: "freebsd", name: "new", customize: { hostname: "x" } }),
    400,
    "invalid_input",
    /^customize: no operating system was found on the disks/,
  );
  expect(await everything()).toEqual(before);
});
