/** Domains made from nothing: what libvirt and QEMU then have, what is refused, and that nothing is left of it. */
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { attribute, children, parseXml, textOf } from "../../../runtime/libvirt/xml.ts";
import { bearing, guarded } from "../../fixtures/access.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  definition,
  disk,
  everything,
  image,
  imageInfo,
  machine,
  names,
  parsed,
  programs,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const run = promisify(execFile);
const OUTSIDE = "/var/lib/libvirt/outside";

const { test, server } = labTest({ start, tidy: wipe });
beforeAll(async () => {
  await defineNetwork("default");
  await virsh("net-start", "default");
  await defineNetwork("off");
  mkdirSync(OUTSIDE, { recursive: true });
  await sh("ip link add br-test type bridge; ip addr add 10.99.0.1/24 dev br-test");
});
afterAll(async () => {
  await clean();
  rmSync(OUTSIDE, { recursive: true });
  await sh("ip link del br-test");
});

const create = (input: object, to = server) => to.post("/libvirt/domain/create", input);
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();
const MIB = 2 ** 20;

/** What libvirt offers, which the defaults follow. */
async function offers() {
  const has = parseXml(await virsh("domcapabilities", "--machine", "q35"), "domainCapabilities");
  const flags = await sh("grep -cwE 'vmx|svm' /proc/cpuinfo || true");
  const canKvm = textOf(has, "domain") === "kvm" && Number(flags) > 0;
  const backends = children(has, "devices", "tpm", "enum")
    .filter((one) => one["@name"] === "backendModel")
    .flatMap((one) => children(one, "value").map((value) => value["#text"]));
  const hasSpice = children(has, "devices", "graphics", "enum", "value").some(
    (one) => one["#text"] === "spice",
  );
  return {
    ...{ virtType: canKvm ? "kvm" : "qemu", machine: textOf(has, "machine") },
    ...{ backends, hasSpice },
  };
}

/** A boot sector that writes BOOTED to the first serial port, 18 times a second. */
const BOOT_SECTOR = (() => {
  const code = "31c08ed8be167cac84c07406baf803eeebf5fbf4ebee";
  const sector = Buffer.alloc(512);
  Buffer.from(code, "hex").copy(sector);
  sector.write("BOOTED\n\0", 22);
  sector.writeUInt16LE(0xaa55, 510);
  return sector;
})();

/** An ISO with nothing but this boot sector, as El Torito has it. */
function bootableIso() {
  const [SECTOR, CATALOG, CODE] = [2048, 19, 20];
  const iso = Buffer.alloc(CODE * SECTOR + 64 * SECTOR);
  const descriptor = (at: number, type: number, words = "") =>
    iso.write(`${String.fromCharCode(type)}CD001\x01${words}`, at * SECTOR, "latin1");
  descriptor(16, 1);
  descriptor(17, 0, "EL TORITO SPECIFICATION");
  iso.writeUInt32LE(CATALOG, 17 * SECTOR + 0x47);
  descriptor(18, 0xff);
  const catalog = iso.subarray(CATALOG * SECTOR);
  catalog.set([1], 0);
  catalog.set([0x55, 0xaa], 30);
  catalog.writeUInt16LE(0x10000 - 0xaa55 - 1, 28); // its words add up to 0
  catalog.set([0x88], 32); // bootable, without emulation of a disk
  catalog.writeUInt16LE(4, 38);
  catalog.writeUInt32LE(CODE, 40);
  iso.set(BOOT_SECTOR, CODE * SECTOR);
  return iso;
}

async function bootable(name: string) {
  writeFileSync(at(`${name}.tmp`), BOOT_SECTOR);
  await sh(`truncate -s 16M '${name}.tmp'`);
  await sh(`qemu-img convert -f raw -O qcow2 '${name}.tmp' '${name}'; rm '${name}.tmp'`);
  await virsh("pool-refresh", "default");
}

/** What a running domain's first serial port says, until it has said so. */
async function says(name: string, text: string) {
  const tty = (await virsh("ttyconsole", "--domain", name)).trim();
  const script = `timeout ${slow(100)} sh -c 'stty raw -echo <"$1"; grep -am1 -- "$2" <"$1"' sh "$1" "$2"`;
  const { stdout } = await run("sh", ["-c", script, "sh", tty, text], { timeout: slow(110_000) });
  expect(stdout).toContain(text);
}

describe("what is made", () => {
  test("of a name alone: a machine that starts", async () => {
    const answer = await create({ name: `it's "a" <vm>; #`, start: true });
    const data = expectSuccess(answer, 201);
    const name = `it's "a" <vm>; #`;
    const { virtType, machine } = await offers();
    expect(await state(name)).toBe("running");
    const domain = await parsed(name);
    expect(data).toMatchObject({
      ...{ name, uuid: textOf(domain, "uuid"), started: true, autostart: false },
      ...{ memory: 2048, vcpus: 2, virt_type: virtType, machine, firmware: "bios" },
      ...{ graphics: "vnc", tpm: false, boot: ["network"], disks: [] },
      macs: [attribute(domain, "address", "devices", "interface", "mac")],
    });
    const emulated = virtType === "qemu";
    expect(data.reasons).toEqual(
      emulated ? { virt_type: expect.stringMatching(/vmx|no KVM/) } : {},
    );
    if (emulated) expect(answer.body.message).toMatch(/created and started; it is emulated/);
    expect([domain["@type"], attribute(domain, "mode", "cpu")]).toEqual(
      emulated ? ["qemu", "maximum"] : ["kvm", "host-passthrough"],
    );
    expect(textOf(domain, "memory")).toBe(`${2048 * 1024}`);
    expect(textOf(domain, "vcpu")).toBe("2");
    expect(attribute(domain, "machine", "os", "type")).toBe(machine);
    const devices = (...path: string[]) => children(domain, "devices", ...path);
    const [nic] = devices("interface");
    expect(attribute(nic, "network", "source")).toBe("default");
    expect(attribute(nic, "type", "model")).toBe("virtio");
    expect(devices("graphics").map((one) => [one["@type"], one["@listen"]])).toEqual([
      ["vnc", "127.0.0.1"],
    ]);
    expect(devices("channel", "target").map((one) => one["@name"])).toEqual([
      "org.qemu.guest_agent.0",
    ]);
    expect(devices("serial")).toHaveLength(1);
    expect(devices("memballoon", "stats").map((one) => one["@period"])).toEqual(["10"]);
    expect(devices("rng").map((one) => one["@model"])).toEqual(["virtio"]);
    // ports are left for what is plugged in while it runs
    const attach = { vm_name: name, network: "default" };
    expectSuccess(await server.post("/libvirt/interface/attach", attach));
    expect((await everything()).notes).toEqual([]);
  });

  test("disks of every kind, and they go with the domain", async () => {
    await image("debian.qcow2");
    await image("own.raw");
    await sh(
      `qemu-img create -q -f qcow2 ${OUTSIDE}/given.qcow2 10M; head -c 1M /dev/zero >cd.iso`,
    );
    await virsh("pool-refresh", "default");
    const data = expectSuccess(
      await create({
        name: "web",
        autostart: true,
        disks: [
          { size: "1.5GiB" },
          { image: "debian.qcow2", size: "100MiB" },
          { image: "debian.qcow2", linked: true, size: "128MiB", bus: "scsi" },
          { image: "debian.qcow2", format: "raw" },
          { volume: "own.raw", bus: "sata" },
          { path: `${OUTSIDE}/given.qcow2`, bus: "usb" },
        ],
        cdrom: { volume: "cd.iso" },
        networks: [],
        start: true,
      }),
      201,
    );
    expect(data.disks.map(Object.values)).toEqual([
      ["vda", "disk", "virtio", "qcow2", at("web.qcow2"), "default", "web.qcow2", true],
      ["vdb", "disk", "virtio", "qcow2", at("web-vdb.qcow2"), "default", "web-vdb.qcow2", true],
      ["sda", "disk", "scsi", "qcow2", at("web-sda.qcow2"), "default", "web-sda.qcow2", true],
      ["vdc", "disk", "virtio", "raw", at("web-vdc.raw"), "default", "web-vdc.raw", true],
      ["sdb", "disk", "sata", "raw", at("own.raw"), "default", "own.raw", false],
      ["sdc", "disk", "usb", "qcow2", `${OUTSIDE}/given.qcow2`, null, null, false],
      ["sdd", "cdrom", "sata", "raw", at("cd.iso"), null, null, false],
    ]);
    expect(data.boot).toEqual(["disk", "cdrom"]);
    expect(await state("web")).toBe("running");
    expect(await virsh("dominfo", "web")).toMatch(/Autostart:\s+enable/);
    await virsh("destroy", "web");
    const sizes = async (name: string) => (await imageInfo(at(name)))["virtual-size"] / MIB;
    expect(await Promise.all(["web.qcow2", "web-vdb.qcow2", "web-sda.qcow2"].map(sizes))).toEqual([
      1536, 100, 128,
    ]);
    expect((await imageInfo(at("web-sda.qcow2")))["backing-filename"]).toBe(at("debian.qcow2"));
    for (const copy of ["web-vdb.qcow2", "web-sda.qcow2", "web-vdc.raw"])
      expect(await same(at(copy), at("debian.qcow2")), copy).toBe(true);
    expect((await imageInfo(at("web-vdc.raw"))).format).toBe("raw");
    expect((await imageInfo(at("web-vdc.raw")))["actual-size"]).toBeLessThan(6 * MIB);
    const [gone] = (
      await server.post("/libvirt/batch/delete", { domains: ["web"], remove_storage: true })
    ).body.results;
    expect(gone).toMatchObject({ success: true });
    const left = (await sh("ls")).trim().split("\n");
    expect(left).toEqual(["cd.iso", "debian.qcow2"]);
  });

  test("what is in an image starts, before an empty disk", {
    timeout: slow(150_000),
  }, async () => {
    await bootable("system.qcow2");
    const disks = [{ image: "system.qcow2", size: "64MiB" }, { size: 1 }];
    expectSuccess(
      await create({ name: "boots", disks, networks: [], memory: 256, start: true }),
      201,
    );
    await says("boots", "BOOTED");
    await virsh("destroy", "boots");
  });

  test("an empty disk is passed over for the CD-ROM", { timeout: slow(150_000) }, async () => {
    writeFileSync(at("install.iso"), bootableIso());
    const wish = { disks: [{ size: 1 }], cdrom: at("install.iso"), networks: [], memory: 256 };
    expectSuccess(await create({ name: "installs", ...wish, start: true }), 201);
    await says("installs", "BOOTED");
  });

  test("with the bridge, the model and the MAC that were asked", async () => {
    const networks = [
      { bridge: "br-test", model: "e1000e", mac: "52:54:00:AA:00:01" },
      { network: "off", mac: "52:54:00:aa:00:02" },
      {},
    ];
    const data = expectSuccess(await create({ name: "net", networks }), 201);
    expect(data.macs.slice(0, 2)).toEqual(["52:54:00:aa:00:01", "52:54:00:aa:00:02"]);
    const nics = children(await parsed("net"), "devices", "interface");
    expect(
      nics.map((one) => [
        one["@type"],
        attribute(one, "bridge", "source") ?? attribute(one, "network", "source"),
        attribute(one, "type", "model"),
        attribute(one, "address", "mac"),
      ]),
    ).toEqual([
      ["bridge", "br-test", "e1000e", "52:54:00:aa:00:01"],
      ["network", "off", "virtio", "52:54:00:aa:00:02"],
      ["network", "default", "virtio", data.macs[2]],
    ]);
  });

  test.each(["uefi", "uefi-secure"])(
    "%s starts, and says so on the serial port",
    {
      timeout: slow(150_000),
    },
    async (firmware) => {
      const data = expectSuccess(
        await create({ name: "efi", firmware, networks: [], memory: 512, start: true }),
        201,
      );
      expect(data.firmware).toBe(firmware);
      const live = await virsh("dumpxml", "--domain", "efi");
      expect(/<loader[^>]* secure='yes'/.test(live)).toBe(firmware === "uefi-secure");
      await says("efi", "BdsDxe");
      await sh("test -f /var/lib/libvirt/qemu/nvram/efi_VARS.fd");
    },
  );

  test("machine, CPU, spice, PC; an OS by its name", async () => {
    const { hasSpice } = await offers();
    const graphics = hasSpice ? "spice" : "none";
    const wish = {
      ...{ name: "old", machine: "pc", virt_type: "qemu", cpu: "Nehalem", graphics },
      ...{ osinfo: "win10", memory: 512, vcpus: 1, networks: [{}], disks: [{ size: 1 }] },
    };
    await sh("head -c 1M /dev/zero >cd.iso");
    const data = expectSuccess(await create({ ...wish, cdrom: at("cd.iso"), start: true }), 201);
    expect(data).toMatchObject({
      cpu: "Nehalem",
      graphics,
      virt_type: "qemu",
      reasons: {},
    });
    expect(data.machine).toMatch(/^pc-i440fx-/);
    const domain = await parsed("old");
    expect(children(domain, "devices", "disk", "target").map((one) => one["@bus"])).toEqual([
      "sata",
      "ide",
    ]);
    expect(attribute(domain, "offset", "clock")).toBe("localtime");
    expect(await definition("old")).toContain('id="http://microsoft.com/win/10"');
  });

  test("a TPM where there is swtpm, and else a refusal", async () => {
    const { backends } = await offers();
    const answer = await create({
      name: "sealed",
      tpm: true,
      memory: 256,
      networks: [],
      start: true,
    });
    if (!backends.includes("emulator")) {
      expectError(answer, 500, "unsupported", /^tpm: .*swtpm/);
      return;
    }
    expect(expectSuccess(answer, 201).tpm).toBe(true);
    expect(await state("sealed")).toBe("running");
    expect(attribute(await parsed("sealed"), "version", "devices", "tpm", "backend")).toBe("2.0");
  });
});

describe("what is refused leaves nothing", () => {
  /** Domains, files, notes and volumes, as they were. */
  const all = async () => ({
    ...(await everything()),
    volumes: await virsh("vol-list", "default"),
    networks: await virsh("net-list", "--all"),
  });

  async function prepare() {
    const mac = "52:54:00:0b:00:01";
    await image("free.qcow2");
    await sh(`qemu-img create -q -f qcow2 used.qcow2 10M; qemu-img create -q -f qcow2 runs.qcow2 10M
      qemu-img create -q -f qcow2 base.qcow2 10M; qemu-img create -q -f qcow2 -F qcow2 -b ${at("base.qcow2")} over.qcow2
      qemu-img create -q -f qcow2 taken.qcow2 10M; mkdir folder; qemu-img create -q -f vmdk other.vmdk 10M
      qemu-io -c 'write -P 7 0 8M' taken.qcow2 >/dev/null; head -c 200000 taken.qcow2 >cut.qcow2; cp cut.qcow2 ${OUTSIDE}
      qemu-img create -q -f qcow2 -u -F raw -b /etc/shadow evil.qcow2 10M
      qemu-img create -q -f qcow2 -u -F raw -b nbd:127.0.0.1:9 net.qcow2 10M; cp evil.qcow2 ${OUTSIDE}
      xz -c </etc/hostname >packed.xz`);
    await virsh("pool-refresh", "default");
    await machine("other", { disks: [at("used.qcow2")] });
    await virsh(...["attach-interface", "other", "network", "default", "--mac", mac, "--config"]);
    await machine("running", { disks: [disk(at("runs.qcow2"))] });
    await virsh("start", "running");
    await virsh("pool-define-as", "sleeping", "dir", "--target", "/run");
    const mark = "/var/lib/libvirt/qemu/nvram/stale_VARS.fd";
    await sh(`mkdir -p /var/lib/libvirt/qemu/nvram; echo old >${mark}`);
  }

  const CASES: [what: object, status: number, code: string, text: RegExp][] = [
    [{ name: "other" }, 500, "already_exists", /^name: domain 'other' already exists/],
    [{ name: "a/b" }, 400, "invalid_input", /^name: /],
    [{ name: "stale", firmware: "uefi" }, 500, "already_exists", /^name: .*stale_VARS\.fd/],
    [{ memory: 0 }, 400, "invalid_input", /^memory: /],
    [{ memory: "2GiB" }, 400, "invalid_input", /^memory: /],
    [{ vcpus: 1.5 }, 400, "invalid_input", /^vcpus: /],
    [
      { vcpus: 4000, machine: "pc" },
      400,
      "invalid_input",
      /^vcpus: machine pc-i440fx-\S+ has at most 255, not 4000/,
    ],
    [{ machine: "amiga" }, 400, "invalid_input", /^machine: "amiga" .*q35/],
    [{ machine: "-x" }, 400, "invalid_input", /^machine: /],
    [{ cpu: "Z80" }, 400, "invalid_input", /^cpu: Z80 is no CPU model/],
    [
      { cpu: "host", virt_type: "qemu" },
      500,
      "unsupported",
      /^cpu: an emulated CPU cannot be host/,
    ],
    [{ firmware: "coreboot" }, 400, "invalid_input", /^firmware: /],
    [{ firmware: "uefi-secure", machine: "pc" }, 500, "unsupported", /^firmware: .*secure boot/],
    [{ graphics: "x11" }, 400, "invalid_input", /^graphics: /],
    [{ osinfo: "beos9" }, 400, "invalid_input", /^osinfo: "beos9" /],
    [{ boot: [] }, 400, "invalid_input", /^boot: /],
    [{ boot: ["disk", "disk"] }, 400, "invalid_input", /^boot: names one twice/],
    [{ sockets: 2 }, 400, "invalid_input", /unknown key "sockets"/],
    [{ networks: [{ network: "none" }] }, 404, "not_found", /^networks\[0\]\.network: .*'none'/],
    [{ networks: [{ bridge: "br-none" }] }, 404, "not_found", /^networks\[0\]\.bridge: .*br-none/],
    [
      { networks: [{ bridge: "lo" }] },
      400,
      "invalid_input",
      /^networks\[0\]\.bridge: .*no Linux bridge/,
    ],
    [{ networks: [{ bridge: "../x" }] }, 400, "invalid_input", /^networks\.0\.bridge: /],
    [
      { networks: [{ network: "off" }], start: true },
      500,
      "not_active",
      /^networks\[0\]\.network: network off is not active/,
    ],
    [{ networks: [{ network: "a", bridge: "b" }] }, 400, "invalid_input", /^networks\.0\.bridge: /],
    [
      { networks: [{ mac: "52:54:00:0B:00:01" }] },
      500,
      "in_use",
      /^networks\[0\]\.mac: domain other has 52:54:00:0b:00:01/,
    ],
    [{ networks: [{ mac: "53:54:00:00:00:01" }] }, 400, "invalid_input", /^networks\.0\.mac: /],
    [
      { networks: [{ mac: "52:54:00:00:00:01" }, { mac: "52:54:00:00:00:01" }] },
      400,
      "invalid_input",
      /^networks\[1\]\.mac: .*networks\[0\]/,
    ],
    [{ networks: [{ model: "token-ring" }] }, 400, "invalid_input", /^networks\.0\.model: /],
    [{ cdrom: "/etc/hostname" }, 400, "invalid_input", /^cdrom: .*allowed folder/],
    [{ cdrom: at("missing.iso") }, 404, "not_found", /^cdrom: /],
    [{ cdrom: at("folder") }, 404, "not_found", /^cdrom: /],
    [{ cdrom: { volume: "free.qcow2" } }, 400, "invalid_input", /^cdrom\.volume: .*no ISO/],
    [{ cdrom: { volume: "missing.iso" } }, 404, "not_found", /^cdrom\.volume: /],
    [{ cdrom: "debian.iso" }, 400, "invalid_input", /^cdrom: /],
  ];
  const DISKS: [disk: object, status: number, code: string, text: RegExp][] = [
    [{}, 400, "invalid_input", /^disks\.1: needs one of/],
    [{ size: 0 }, 400, "invalid_input", /^disks\.1\.size: must be more than 0/],
    [{ size: "much" }, 400, "invalid_input", /^disks\.1\.size: /],
    [
      { size: 1, volume: "free.qcow2" },
      400,
      "invalid_input",
      /^disks\.1\.size: only for a new disk/,
    ],
    [{ image: "free.qcow2", path: "/x" }, 400, "invalid_input", /^disks\.1\.path: /],
    [{ size: 1, linked: true }, 400, "invalid_input", /^disks\.1\.linked: /],
    [{ size: 1, bus: "floppy" }, 400, "invalid_input", /^disks\.1\.bus: /],
    [
      { size: 1, bus: "ide" },
      500,
      "unsupported",
      /^disks\[1\]\.bus: machine pc-q35-\S+ has no ide; there are /,
    ],
    [{ size: 1, format: "vmdk" }, 400, "invalid_input", /^disks\.1\.format: /],
    [{ size: 1, pool: "nowhere" }, 404, "not_found", /^disks\[1\]\.pool: .*'nowhere'/],
    [
      { size: 1, pool: "sleeping" },
      500,
      "not_active",
      /^disks\[1\]\.pool: pool sleeping is not active/,
    ],
    [{ volume: "none.qcow2" }, 404, "not_found", /^disks\[1\]\.volume: .*'none\.qcow2'/],
    [{ volume: "used.qcow2" }, 500, "in_use", /^disks\[1\]\.volume: .*used by domain other/],
    [{ volume: "base.qcow2" }, 500, "in_use", /^disks\[1\]\.volume: .*below .*over\.qcow2/],
    [{ volume: "folder" }, 400, "invalid_input", /^disks\[1\]\.volume: .*is a folder/],
    [
      { volume: "free.qcow2", format: "raw" },
      400,
      "invalid_input",
      /^disks\[1\]\.volume: is of format qcow2, not raw/,
    ],
    [{ volume: "other.vmdk" }, 500, "unsupported", /^disks\[1\]\.volume: is of format vmdk/],
    [
      { volume: "cut.qcow2" },
      400,
      "invalid_input",
      /^disks\[1\]\.volume: .*cut\.qcow2.*(damaged|truncated)/,
    ],
    [{ volume: "evil.qcow2" }, 400, "invalid_input", /^disks\[1\]\.volume: .*\/etc\/shadow/],
    [{ image: "none.qcow2" }, 404, "not_found", /^disks\[1\]\.image: /],
    [{ image: "free.qcow2", image_pool: "nowhere" }, 404, "not_found", /^disks\[1\]\.image_pool: /],
    [{ image: "runs.qcow2" }, 500, "in_use", /^disks\[1\]\.image: .*running domain running.*torn/],
    [
      { image: "used.qcow2", linked: true },
      500,
      "in_use",
      /^disks\[1\]\.image: .*domain other.*overlay/,
    ],
    [{ image: "free.qcow2", size: "1MiB" }, 400, "invalid_input", /^disks\[1\]\.size: /],
    [{ image: "cut.qcow2" }, 400, "invalid_input", /^disks\[1\]\.image: .*(damaged|truncated)/],
    [{ image: "evil.qcow2" }, 400, "invalid_input", /^disks\[1\]\.image: .*\/etc\/shadow/],
    [
      { image: "evil.qcow2", linked: true },
      400,
      "invalid_input",
      /^disks\[1\]\.image: .*\/etc\/shadow/,
    ],
    [{ volume: "net.qcow2" }, 400, "invalid_input", /^disks\[1\]\.volume: .*nbd:127\.0\.0\.1:9/],
    [
      { image: "net.qcow2", linked: true },
      400,
      "invalid_input",
      /^disks\[1\]\.image: .*nbd:127\.0\.0\.1:9/,
    ],
    [{ image: "net.qcow2" }, 500, "command_failed", /^disks\[1\]\.image: qemu-img measure/],
    [
      { image: "packed.xz" },
      400,
      "invalid_input",
      /^disks\[1\]\.image: .*an xz archive; unpack it first \(xz -d\)$/,
    ],
    [{ path: "/etc/shadow" }, 400, "invalid_input", /^disks\[1\]\.path: .*allowed folder/],
    [{ path: "relative" }, 400, "invalid_input", /^disks\.1\.path: /],
    [{ path: `${OUTSIDE}/none` }, 400, "invalid_input", /^disks\[1\]\.path: .*no file/],
    [
      { path: `${OUTSIDE}/cut.qcow2` },
      400,
      "invalid_input",
      /^disks\[1\]\.path: .*(damaged|truncated)/,
    ],
    [{ path: `${OUTSIDE}/evil.qcow2` }, 400, "invalid_input", /^disks\[1\]\.path: .*backing file/],
    [{ path: at("used.qcow2") }, 500, "in_use", /^disks\[1\]\.path: .*used by domain other/],
    [{ path: at("free.qcow2"), pool: "default" }, 400, "invalid_input", /^disks\.1\.pool: /],
  ];

  const refusals = {
    machines: CASES,
    disks: DISKS.map(([disk, ...rest]) => [{ disks: [{ size: 1 }, disk] }, ...rest] as const),
  };

  test.for(Object.entries(refusals))("%s", { timeout: slow(200_000) }, async ([, cases]) => {
    await prepare();
    try {
      const before = await all();
      for (const [what, status, code, text] of cases) {
        const answer = await create({ name: "new", networks: [], ...what });
        expectError(answer, status, code, text);
        expect(await all(), JSON.stringify(what)).toEqual(before);
      }
    } finally {
      await virsh("pool-undefine", "sleeping");
      await sh("rm /var/lib/libvirt/qemu/nvram/stale_VARS.fd");
    }
  });

  test("a volume of the name that a new one gets, an image twice", async () => {
    await sh("qemu-img create -q -f qcow2 x.qcow2 1M");
    await image("free.qcow2");
    const before = await all();
    const one = { name: "x", networks: [], disks: [{ size: 1 }] };
    const taken = /^disks\[0\]: volume x\.qcow2 of pool default exists already/;
    expectError(await create(one), 500, "already_exists", taken);
    const disks = [{ volume: "free.qcow2" }, { path: at("free.qcow2") }];
    const twice = /^disks\[1\]: .*is disks\[0\] already/;
    expectError(await create({ ...one, disks }), 400, "invalid_input", twice);
    expect(await all()).toEqual(before);
  });

  test("the network default is not there", async () => {
    await virsh("net-destroy", "default");
    await virsh("net-undefine", "default");
    const answer = await create({ name: "new" });
    await defineNetwork("default");
    await virsh("net-start", "default");
    const text =
      /^networks\[0\]\.network: .*'default'; create it, name another, or give networks: \[\]/;
    expectError(answer, 404, "not_found", text);
    expect(await names()).toEqual([]);
  });

  test("too little space for a copy, asked before", async ({ pool }) => {
    await pool("small", "20m");
    await sh(
      `head -c 30M /dev/urandom >big.tmp; qemu-img convert -f raw -O qcow2 big.tmp big.qcow2; rm big.tmp`,
    );
    await virsh("pool-refresh", "default");
    const before = await all();
    const disks = [{ image: "big.qcow2", image_pool: "default", pool: "small" }];
    const text = /^disks\[0\]\.image: pool small has \d+ MiB left, and 3\d MiB are needed/;
    expectError(await create({ name: "new", networks: [], disks }), 500, "no_space", text);
    expect(await all()).toEqual(before);
    expect(await virsh("vol-list", "small")).toBe("");
    // what is sparse stays so, in a raw copy too
    await image("holes.raw");
    const sparse = [{ ...disks[0], image: "holes.raw", format: "raw" }];
    expectSuccess(await create({ name: "sparse", networks: [], disks: sparse }), 201);
    await virsh("undefine", "sparse");
    await virsh("vol-delete", "--pool", "small", "sparse.raw");
    // an overlay takes next to nothing
    const linked = disks.map((one) => ({ ...one, linked: true }));
    expectSuccess(await create({ name: "thin", networks: [], disks: linked }), 201);
    await virsh("undefine", "thin");
  });

  test("a start that fails removes the domain and what was made, and nothing else", async () => {
    await image("own.qcow2");
    const before = await all();
    const disks = [{ size: 1 }, { image: "own.qcow2" }, { volume: "own.qcow2", bus: "scsi" }];
    const wish = { name: "big", disks, firmware: "uefi", memory: 2 ** 30, start: true };
    const answer = await create(wish);
    expect([answer.status, answer.body.code]).toEqual([500, "virsh_failed"]);
    expect(answer.body.error).toMatch(/memory/i);
    expect(await all()).toEqual(before);
  });

  test("a copy that fails on the way removes the disks before it", async () => {
    await image("own.qcow2");
    const before = await all();
    const bin = programs("/run/bin-create", {
      "qemu-img": `case "$*" in *convert*) echo "qemu-img: error while writing: No space left on device" >&2; exit 1;; esac; exec $REAL "$@"`,
    });
    const other = await start(bin);
    try {
      const disks = [{ size: 1 }, { image: "own.qcow2" }];
      const answer = await create({ name: "new", networks: [], disks }, other);
      expectError(answer, 500, "no_space", /^disks\[1\]: .*No space left/);
    } finally {
      await other.stop();
    }
    expect(await all()).toEqual(before);
  });

  test("a token for some domains makes none, since it could name any volume", async () => {
    const access = guarded();
    const token = await access.token("web", { role: "admin", domains: ["web-*"] });
    const limited = await start(undefined, access.env);
    const headers = { ...bearing(token).headers, "Content-Type": "application/json" };
    const ask = (name: string) =>
      limited.post("/libvirt/domain/create", { name, networks: [] }, { headers });
    try {
      expectError(await ask("web-1"), 403, "forbidden", /limited to web-\*/);
      expect(await names()).toEqual([]);
    } finally {
      await limited.stop();
      access.remove();
    }
  });
});
