/** Beside virt-install: what it makes of the same wish, and why each difference is meant. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect } from "vitest";
import { beyond, canonical } from "../../fixtures/canonical.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  define,
  definition,
  image,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { clean, defineNetwork, env, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const { test, server } = labTest({ start, tidy: wipe });
beforeAll(async () => {
  await defineNetwork("default");
});
afterAll(clean);

interface Case {
  wish: { graphics?: string; [field: string]: unknown };
  options: string[];
  ours: string[];
  theirs: string[];
}

/** In every case. */
const OURS = [
  "domain/devices/disk/driver discard=unmap name=qemu type=qcow2", // theirs has it only on disks that it makes
  "domain/devices/memballoon/stats period=10", // without it a guest's use of memory is not known
  "domain/cpu check=none mode=maximum", // QEMU's default of 2003 is too old for what runs today
];
const THEIRS = [
  "domain/devices/disk/driver name=qemu type=qcow2",
  "domain/cpu check=none match=exact mode=custom",
  "domain/cpu/model fallback=forbid: qemu64",
];
const NO_VMWARE = "domain/features/vmport state=off"; // VMware's port into the host; theirs has it off beside spice

const hasSwtpm = existsSync("/usr/bin/swtpm");
const TPM = hasSwtpm
  ? ["domain/devices/tpm model=tpm-crb", "domain/devices/tpm/backend type=emulator version=2.0"]
  : [];

const hasSpice = (await virsh("domcapabilities", "--machine", "pc")).includes("<value>spice<");
/** For whoever sits before it: sound, their own USB devices, a picture that is quick on the same machine. */
const OF_A_DESKTOP = [
  "domain/devices/sound model=ich6",
  "domain/devices/redirdev bus=usb type=spicevmc",
  "domain/devices/redirdev bus=usb type=spicevmc",
  "domain/devices/graphics/image compression=off",
];

/** After libvirt has filled in both, so that only what was decided differs. */
const CASES: Record<string, Case> = {
  "an image of Debian": {
    wish: { osinfo: "debian11", disks: [{ volume: "own.qcow2" }] },
    options: ["--machine", "q35", "--osinfo", "debian11", "--disk", `path=${at("own.qcow2")}`],
    ours: [NO_VMWARE],
    theirs: [],
  },
  "Windows from a CD-ROM": {
    wish: {
      osinfo: "win10",
      disks: [{ volume: "own.qcow2" }],
      cdrom: at("cd.iso"),
      firmware: "uefi-secure",
    },
    options: [
      ...["--osinfo", "win10", "--disk", `path=${at("own.qcow2")}`],
      ...["--disk", `path=${at("cd.iso")},device=cdrom`],
      "--boot",
      "hd,cdrom,firmware=efi,loader_secure=yes,firmware.feature0.name=enrolled-keys,firmware.feature0.enabled=yes,firmware.feature1.name=secure-boot,firmware.feature1.enabled=yes",
      ...["--features", "smm.state=on"],
    ],
    ours: [
      NO_VMWARE,
      // used as soon as Windows has the drivers for them
      "domain/devices/channel type=unix",
      "domain/devices/channel/target name=org.qemu.guest_agent.0 type=virtio",
      "domain/devices/rng model=virtio",
      "domain/devices/rng/backend model=random: /dev/urandom",
      "domain/devices/video/model heads=1 primary=yes type=vga vram=16384", // with a BIOS bochs shows nothing
    ],
    theirs: [
      // QEMU has these with KVM alone
      "domain/features/hyperv mode=custom",
      "domain/features/hyperv/spinlocks retries=8191 state=on",
      "domain/clock/timer name=hypervclock present=yes",
      "domain/devices/video/model heads=1 primary=yes type=bochs vram=16384",
      // theirs adds it beside UEFI where there is swtpm; ours when it is asked for
      ...TPM,
    ],
  },
  "a PC with disks on SCSI, and spice if QEMU has it": {
    wish: {
      ...{ osinfo: "debian11", machine: "pc", graphics: hasSpice ? "spice" : "vnc" },
      disks: [{ volume: "own.qcow2", bus: "scsi" }],
    },
    options: [
      ...["--machine", "pc", "--osinfo", "debian11"],
      ...["--disk", `path=${at("own.qcow2")},bus=scsi`, "--controller", "scsi,model=virtio-scsi"],
    ],
    ours: hasSpice ? [] : [NO_VMWARE],
    theirs: hasSpice ? OF_A_DESKTOP : [],
  },
};

test.each(Object.entries(CASES))("%s", { timeout: slow(60_000) }, async (_title, one) => {
  await image("own.qcow2");
  await sh("head -c 1M /dev/zero >cd.iso");
  const argv = ["--print-xml", "--import", "--name", "theirs", "--virt-type", "qemu"];
  const { graphics = "vnc" } = one.wish;
  const common = ["--memory", "2048", "--vcpus", "2", "--network", "network=default"];
  const screen = ["--graphics", `${graphics},listen=127.0.0.1`];
  const { stdout } = await promisify(execFile)(
    "virt-install",
    [...argv, ...common, ...screen, ...one.options],
    { env, timeout: slow(30_000) },
  );
  await define(stdout);
  const theirs = rowsOf(await definition("theirs"));
  await virsh("undefine", "theirs", "--nvram");
  const wish = { name: "ours", virt_type: "qemu", ...one.wish };
  expectSuccess(await server.post("/libvirt/domain/create", wish), 201);
  const ours = rowsOf(await definition("ours"));
  const more = { ours: beyond(ours, theirs).sort(), theirs: beyond(theirs, ours).sort() };
  const meant = { ours: [...OURS, ...one.ours].sort(), theirs: [...THEIRS, ...one.theirs].sort() };
  expect(more).toEqual(meant);
});

/**
 * Without what is another for each domain, and the places on buses, which libvirt gives. Which of these parts of Hyper-V
 * virt-install adds depends on its version.
 */
const rowsOf = (text: string) =>
  canonical(text)
    .filter(
      (row) =>
        !/^domain\/(name|uuid|os\/nvram|features\/hyperv\/(relaxed|vapic))\b|\/address .*type=|\/mac address=/.test(
          row,
        ),
    )
    .filter((row) => !/\/controller(\/(model|target))? (index|name=pcie|chassis)/.test(row));
