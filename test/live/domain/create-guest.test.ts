/** From nothing to a guest that is really there: images with GRUB, cloud-init, and the waiting for it. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { serveImages } from "../../fixtures/image-server.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  imageInfo,
  names,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { debianGuest } from "../../lab/debian.ts";
import { grubDisk } from "../../lab/grub.ts";
import { KERNEL_OPTIONS, tinyGuest } from "../../lab/guest.ts";

const run = promisify(execFile);
const { test, server } = labTest({ start, tidy: wipe });
const folder = mkdtempSync("/run/create-guest-");

beforeAll(async () => {
  const address = xml`<ip address="10.79.0.1" prefix="24"><dhcp><range start="10.79.0.100" end="10.79.0.199"/></dhcp></ip>`;
  await defineNetwork("default", address);
  await virsh("net-start", "default");
  await run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(folder, "key")]);
});
afterAll(async () => {
  await clean();
  rmSync(folder, { recursive: true });
});

/** Runs a command in a guest, as its user. */
function ssh(address: string, command: string) {
  const options = ["-i", join(folder, "key"), "-o", "StrictHostKeyChecking=no"];
  const unknown = ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"];
  const argv = [...options, ...unknown, `ada@${address}`, command];
  return run("ssh", argv, { timeout: slow(60_000) });
}

const create = (input: object) => server.post("/libvirt/domain/create", input);

test("an image with GRUB starts, and its address is waited for", {
  timeout: slow(200_000),
}, async () => {
  await grubDisk(at("tiny.img"), await tinyGuest(), KERNEL_OPTIONS);
  await virsh("pool-refresh", "default");
  const wish = { name: "tiny", memory: 256, vcpus: 1, disks: [{ image: "tiny.img", size: 1 }] };
  const wait = { for: "address", timeout: slow(120) };
  const data = expectSuccess(await create({ ...wish, start: true, wait }), 201);
  const leases = await virsh("net-dhcp-leases", "default");
  const [, address] = new RegExp(`${data.macs[0]}.* (10\\.79\\.0\\.\\d+)/`).exec(leases) ?? [];
  expect(data.guest.addresses.map((one: { address: string }) => one.address)).toContain(address);
});

test("a guest that does not come: the domain stays, and the answer says so", async () => {
  const wish = { name: "empty", memory: 128, disks: [{ size: 1 }], start: true };
  const answer = await create({ ...wish, wait: { for: "agent", timeout: 1 } });
  expectError(answer, 504, "timed_out", /^wait: domain empty .*; the domain is created and stays$/);
  expect(answer.body.uuid).toBe((await virsh("domuuid", "empty")).trim());
  expect((await virsh("domstate", "empty")).trim()).toBe("running");
});

test("a seed goes with a creation that fails, and with the domain's storage", async () => {
  const before = await everything();
  const wish = { name: "web", disks: [{ size: 1 }], cloud_init: { hostname: "web" } };
  const failed = await create({ ...wish, memory: 2 ** 30, start: true });
  expect(failed.body.code).toBe("virsh_failed");
  expect(await everything()).toEqual(before);
  const { seed } = expectSuccess(await create({ ...wish, firmware: "uefi" }), 201);
  expect(seed).toEqual({ pool: "default", volume: "web-seed.iso", path: at("web-seed.iso") });
  const again = await create({ ...wish, name: "web" });
  expectError(again, 500, "already_exists", /^name: /);
  const remove = { domains: ["web"], remove_storage: true };
  const [gone] = (await server.post("/libvirt/batch/delete", remove)).body.results;
  expect(gone).toMatchObject({ success: true });
  expect(await everything()).toEqual(before);
});

test("a Debian of a URL with a user and a key, in one call", {
  timeout: slow(400_000),
}, async () => {
  const { disk, ...boot } = debianGuest(true);
  await grubDisk(at("boot.iso"), boot, `root=/dev/vda rw ${KERNEL_OPTIONS}`);
  await virsh("pool-refresh", "default");
  const bytes = readFileSync(disk);
  const images = await serveImages({ "debian.qcow2": bytes });
  const config = join(folder, "images.toml");
  writeFileSync(config, `[images]\nhosts = ["${images.host}"]\n`);
  const other = await start(undefined, { HYPERSDK_CONFIG: config });
  const key = readFileSync(join(folder, "key.pub"), "utf8").trim();
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const wish = {
    ...{ name: "first", memory: 512, start: true },
    disks: [{ image: `${images.url}/debian.qcow2`, sha256, size: 3 }],
    ...{ cdrom: { volume: "boot.iso" }, boot: ["cdrom"] },
    cloud_init: { users: [{ name: "ada", ssh_authorized_keys: [key] }] },
    wait: { for: "ssh", timeout: slow(300) },
  };
  const answer = await other.post("/libvirt/domain/create", wish);
  await other.stop();
  await images.close();
  const data = expectSuccess(answer, 201);
  expect(data.disks[0]).toMatchObject({ format: "qcow2", volume: "first.qcow2", made: true });
  expect(await imageInfo(at("first.qcow2"))).toMatchObject({ "virtual-size": 3 * 2 ** 30 });
  const found = data.guest.addresses.map((one: { address: string }) => one.address);
  const address = found.find((one: string) => one.startsWith("10.79.0."));
  const { stdout } = await ssh(address, "hostname; whoami");
  expect(stdout).toBe("first\nada\n");
});

test("a disk of a URL that is refused or fails leaves nothing", async () => {
  const before = await everything();
  const images = await serveImages({
    "no-image": Buffer.from("hello"),
    raw: Buffer.alloc(2 ** 20),
    small: Buffer.alloc(2 ** 19),
    html: Buffer.from("<html>Please sign in.</html>"),
  });
  const config = join(folder, "images.toml");
  writeFileSync(config, `[images]\nhosts = ["${images.host}"]\n`);
  const other = await start(undefined, { HYPERSDK_CONFIG: config });
  for (const [disks, code, why] of [
    [
      [{ image: "http://example.org/a" }],
      "invalid_input",
      /^disks\[0\]\.image: host example.org is/,
    ],
    [[{ image: "ftp://example.org/a" }], "invalid_input", /^disks\.0\.image: /],
    [[{ image: `${images.url}/none` }], "invalid_input", /^disks\[0\]\.image: .* answers 404/],
    [
      [{ image: `${images.url}/html`, size: 5 }],
      "invalid_input",
      /^disks\[0\]\.image: the image is an HTML page and no disk image/,
    ],
    [
      [{ image: `${images.url}/small`, size: 5 }],
      "invalid_input",
      /^disks\[0\]\.image: the image has only 524288 bytes and no boot sector/,
    ],
    [
      [{ image: `${images.url}/raw`, sha256: "0".repeat(64) }],
      "invalid_input",
      /^disks\[0\]\.sha256: that of the download/,
    ],
    [
      [{ size: 1 }, { image: `${images.url}/raw`, size: "512KiB" }],
      "invalid_input",
      /^disks\[1\]\.size: 524288 bytes are less/,
    ],
    [
      [{ image: `${images.url}/raw`, linked: true }],
      "invalid_input",
      /linked: only for an image that is a volume/,
    ],
    [
      [{ image: "a", sha256: "0".repeat(64) }],
      "invalid_input",
      /sha256: only beside an image that is a URL/,
    ],
  ] as const) {
    const answer = await other.post("/libvirt/domain/create", { name: "web", disks });
    expectError(answer, 400, code, why);
    expect(await everything()).toEqual(before);
  }
  await other.stop();
  await images.close();
});

test("a Debian with a user, a key, a file and a host name, in one call", {
  timeout: slow(400_000),
}, async () => {
  const { disk, ...boot } = debianGuest(true);
  await grubDisk(at("boot.iso"), boot, `root=/dev/vda rw ${KERNEL_OPTIONS}`); // the disk has no boot loader
  copyFileSync(disk, at("debian.qcow2"));
  await virsh("pool-refresh", "default");
  const key = readFileSync(join(folder, "key.pub"), "utf8").trim();
  const data = expectSuccess(
    await create({
      ...{ name: "web-1", memory: 512, start: true },
      disks: [{ image: "debian.qcow2", linked: true, size: 3 }],
      ...{ cdrom: { volume: "boot.iso" }, boot: ["cdrom"] },
      cloud_init: {
        hostname: "web-1",
        users: [{ name: "ada", ssh_authorized_keys: [key] }],
        write_files: [{ path: "/etc/made", content: "by cloud-init\n" }],
      },
      wait: { for: "cloud-init", timeout: slow(300) },
    }),
    201,
  );
  const found = data.guest.addresses.map((one: { address: string }) => one.address);
  const address = found.find((one: string) => one.startsWith("10.79.0."));
  const { stdout } = await ssh(address, "hostname; whoami; cat /etc/made");
  expect(stdout).toBe("web-1\nada\nby cloud-init\n");
  expect(await sh("ls")).toContain("web-1-seed.iso");
  expect(await names()).toEqual(["web-1"]);
});
