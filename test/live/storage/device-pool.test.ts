/**
 * Pools that are no folders: partitions of a disk, and a file system of its own, both on loop devices. (libvirt
 * 9.0 cannot delete a loop device's partition: it asks parted for "p1".)
 */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { basename } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { env, expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

const run = promisify(execFile);
const MIB = 1024 ** 2;
const FROM = "/var/lib/libvirt/from";
const MOUNT = "/var/lib/libvirt/mounted";

const sh = async (script: string) =>
  (await run("sh", ["-euc", script], { env, timeout: slow(30_000) })).stdout.trim();

let server: TestServer;
let device: string;
let first: string;
let second: string;

beforeAll(async () => {
  mkdirSync(FROM);
  await sh(`truncate -s 64M /run/disk.img /run/fs.img; mkfs.ext4 -q /run/fs.img
    head -c 3M /dev/urandom >${FROM}/x.raw; qemu-img convert -O qcow2 ${FROM}/x.raw ${FROM}/x.qcow2`);
  device = await sh("losetup --find --show --partscan /run/disk.img");
  [first, second] = [`${basename(device)}p1`, `${basename(device)}p2`];
  await sh(`parted -s ${device} mklabel gpt`);
  await virsh(
    ...["pool-create-as", "disk", "disk", "--target", "/dev"],
    ...["--source-dev", device, "--source-format", "gpt"],
  );
  const mounted = await sh("losetup --find --show /run/fs.img");
  mkdirSync(MOUNT);
  await virsh("pool-create-as", "fs", "fs", "--source-dev", mounted, "--target", MOUNT);
  await sh(`losetup -d ${mounted}`); // ends with the mount
  server = await startServer();
});
afterAll(async () => {
  await server?.stop();
  for (const pool of ["disk", "fs"]) await virsh("pool-destroy", pool).catch(() => {});
  if (device) await sh(`parted -s ${device} mklabel gpt; losetup -d ${device}`);
  for (const path of [FROM, MOUNT, "/run/disk.img", "/run/fs.img"])
    rmSync(path, { recursive: true, force: true });
});

const post = (verb: string, input: object) => server.post(`/libvirt/volume/${verb}`, input);
const upload = (input: object) =>
  post("upload", { pool: "disk", volume: first, source_path: `${FROM}/x.qcow2`, ...input });

test("both are listed with their kinds and sizes", async () => {
  const { pools } = expectSuccess(await server.get("/libvirt/pools"));
  const of = (name: string) => pools.find((pool: { name: string }) => pool.name === name);
  expect(of("disk")).toMatchObject({ type: "disk", path: "/dev", active: true });
  expect(of("disk").available_bytes).toBeGreaterThan(60 * MIB);
  expect(of("fs")).toMatchObject({ type: "fs", path: MOUNT, active: true });
  expect(of("fs").capacity_bytes).toBe(
    Number(await sh(`stat -fc '%b %S' ${MOUNT} | { read b s; echo $((b * s)); }`)),
  );
});

describe("partitions", () => {
  test("created raw, uploaded to, copied, wiped: the bytes are right", async () => {
    expect(expectSuccess(await upload({ format: "raw" }), 201)).toMatchObject({
      ...{ pool: "disk", name: first, path: `/dev/${first}`, type: "block" },
      source_format: "qcow2",
    });
    const bytes = readFileSync(`${FROM}/x.raw`);
    const partition = (name: string) => readFileSync(`/dev/${name}`).subarray(0, bytes.length);
    expect(partition(first).equals(bytes)).toBe(true);

    const made = await post("create", {
      pool: "disk",
      name: second,
      capacity: "4MiB",
      format: "raw",
    });
    expect(expectSuccess(made, 201)).toMatchObject({ name: second, capacity_bytes: 4 * MIB });
    expectSuccess(await post("wipe", { pool: "disk", volume: second }));
    const listed = expectSuccess(await server.get("/libvirt/volumes?pool=disk"));
    expect(listed.volumes.map(({ name }: { name: string }) => name)).toEqual([first, second]);
    expect(await sh(`parted -sm ${device} print | tail -n +3 | wc -l`)).toBe("2");

    const input = { pool: "disk", source_volume: first, target_volume: "copy" };
    const copy = await post("clone", { ...input, target_pool: "default" });
    expect(expectSuccess(copy, 201)).toMatchObject({ type: "file", format: "raw" });
    const copied = readFileSync("/var/lib/libvirt/images/copy");
    expect(copied.subarray(0, bytes.length).equals(bytes)).toBe(true);
    expectSuccess(await post("delete", { pool: "default", volume: "copy" }));

    expectSuccess(await post("wipe", { pool: "disk", volume: first, algorithm: "trim" }));
    expect(partition(first).every((byte) => byte === 0)).toBe(true);
  });

  test("no format but raw, and no other size: told, unchanged", async () => {
    const before = await sh(`parted -sm ${device} print`);
    const third = { pool: "disk", name: `${basename(device)}p3`, capacity: "1MiB" };
    expectError(await post("create", third), 500, "unsupported", /format type qcow2/);
    expectError(await upload({ volume: third.name }), 500, "unsupported", /format type qcow2/);
    const resize = { pool: "disk", volume: first, capacity: "12MiB" };
    expectError(await post("resize", resize), 500, "unsupported", /not support/);
    expect(await sh(`parted -sm ${device} print`)).toBe(before);
  });
});

test("a file system of its own: volumes are files on it", async () => {
  expectSuccess(await post("create", { pool: "fs", name: "v", capacity: "8MiB" }), 201);
  const copy = { pool: "fs", source_volume: "v", target_volume: "w" };
  expectSuccess(await post("clone", copy), 201);
  expectSuccess(await post("resize", { pool: "fs", volume: "w", capacity: "9MiB" }));
  const { volumes } = expectSuccess(await server.get("/libvirt/volumes?pool=fs"));
  const sizes = volumes
    .filter(({ type }: { type: string }) => type === "file")
    .map(({ name, capacity_bytes }: Record<string, unknown>) => [name, capacity_bytes]);
  expect(sizes.sort()).toEqual([
    ["v", 8 * MIB],
    ["w", 9 * MIB],
  ]);
  for (const volume of ["v", "w"]) expectSuccess(await post("delete", { pool: "fs", volume }));
  expect(await sh(`ls ${MOUNT}`)).toBe("lost+found");
});
