/** What a hypervisor offers, and the machine that is chosen of it. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { readCapabilities } from "../../../../runtime/libvirt/create/capabilities.ts";
import { chooseHardware } from "../../../../runtime/libvirt/create/hardware.ts";
import {
  busOf,
  cdromBus,
  targetName,
  targetNames,
} from "../../../../runtime/libvirt/create/targets.ts";
import { DomainWish } from "../../../../runtime/libvirt/create/wish.ts";
import { type Changes, creating } from "../../../fixtures/creating.ts";

const WINDOWS = { id: "http://microsoft.com/win/11", isWindows: true };

async function chosen(wish: object, changes: Changes = {}, system?: typeof WINDOWS) {
  const parsed = DomainWish.parse({ name: "web", ...wish });
  const has = await readCapabilities(creating(changes).context, parsed);
  return { has, hardware: chooseHardware(parsed, has, system) };
}

const refused = (wish: object, changes: Changes = {}) =>
  chosen(wish, changes).then(
    () => expect.unreachable(),
    ({ code, message }: HyperError) => `${code}: ${message}`,
  );

describe("the defaults", () => {
  test("with KVM", async () => {
    const { hardware, has } = await chosen({});
    expect(hardware).toEqual({
      ...{ arch: "x86_64", virtType: "kvm", machine: "q35", isQ35: true, firmware: "bios" },
      ...{ cpu: { mode: "host-passthrough" }, graphics: "vnc", video: "virtio" },
      ...{ tpm: undefined, system: undefined },
    });
    expect([has.canonicalMachine, has.whyEmulated]).toEqual(["pc-q35-7.2", undefined]);
  });

  test.each([
    [{ kvm: false }, /libvirt finds no KVM/],
    [{ vmx: false }, /neither vmx nor svm/],
  ])("emulated where KVM does not work: %j", async (changes, why) => {
    const { hardware, has } = await chosen({}, changes);
    expect([hardware.virtType, hardware.cpu]).toEqual(["qemu", { mode: "maximum" }]);
    expect(has.whyEmulated).toMatch(why);
  });

  test("emulated on request needs no excuse, and KVM on request is believed", async () => {
    expect((await chosen({ virt_type: "qemu" })).has).toMatchObject({
      virtType: "qemu",
      whyEmulated: undefined,
    });
    expect((await chosen({ virt_type: "kvm" }, { vmx: false })).has.virtType).toBe("kvm");
  });

  test("what cannot be looked at is as libvirt says", async () => {
    const run = (argv: string[]) => (argv[0] === "grep" ? { exitCode: 2 } : undefined);
    expect((await chosen({}, { run })).has.virtType).toBe("kvm");
  });

  test("of another architecture", async () => {
    const { hardware } = await chosen({}, { arch: "aarch64" });
    expect(hardware).toMatchObject({ machine: "virt", isQ35: false, firmware: "uefi" });
  });

  test("an old QEMU without the CPU that is best", async () => {
    expect((await chosen({}, { modes: ["host-model"] })).hardware.cpu).toEqual({
      mode: "host-model",
    });
    const none = { modes: [], kvm: false };
    expect((await chosen({}, none)).hardware.cpu).toBeUndefined();
  });
});

test.each([
  [{ cpu: "host" }, { mode: "host-passthrough" }],
  [{ cpu: "maximum" }, { mode: "maximum" }],
  [{ cpu: "Nehalem" }, { model: "Nehalem" }],
  [{ cpu: "Conroe" }, { model: "Conroe" }],
])("%j", async (wish, cpu) => {
  expect((await chosen(wish)).hardware.cpu).toEqual(cpu);
});

test.each<[object, Changes, RegExp]>([
  [
    { cpu: "EPYC" },
    {},
    /^unsupported: cpu: EPYC has features that it lacks here; there are host, .*Nehalem, Conroe$/,
  ],
  [{ cpu: "Z80" }, {}, /^invalid_input: cpu: Z80 is no CPU model/],
  [
    { cpu: "host" },
    { kvm: false, modes: ["maximum"] },
    /^unsupported: cpu: an emulated CPU cannot be host; it can be maximum$/,
  ],
  [{ virt_type: "kvm" }, { kvm: false }, /^unsupported: virt_type: hypervisor t has no KVM/],
  [
    { machine: "amiga" },
    {},
    /^invalid_input: machine: "amiga" is no machine of x86_64 here; there are q35, pc, virt and/,
  ],
  [{ vcpus: 289 }, {}, /^invalid_input: vcpus: machine pc-q35-7\.2 has at most 288, not 289/],
  [{ firmware: "uefi" }, { uefi: false }, /^unsupported: firmware: .*no UEFI.*ovmf/],
  [{ firmware: "uefi-secure" }, { secureBoot: false }, /^unsupported: firmware: .*secure boot/],
  [
    { firmware: "bios" },
    { arch: "aarch64" },
    /^unsupported: firmware: a machine of aarch64 has no BIOS/,
  ],
  [
    { graphics: "spice" },
    { graphics: ["vnc"] },
    /^unsupported: graphics: .*no spice; there are vnc, none/,
  ],
  [{ tpm: true }, { swtpm: false }, /^unsupported: tpm: .*swtpm/],
])("%j on %j is refused", async (wish, changes, text) => {
  expect(await refused(wish, changes)).toMatch(text);
});

test("a hypervisor that runs none of its own kind", async () => {
  const { context } = creating({
    answer: (verb) => (verb === "capabilities" ? "<capabilities/>" : undefined),
  });
  await expect(readCapabilities(context, {})).rejects.toThrow(HyperError);
});

test("a driver that has no such capabilities, as libvirt's test driver", async () => {
  const answer = (verb: string) =>
    verb === "domcapabilities" ? new HyperError("unsupported", "not supported") : undefined;
  expect(await refused({}, { answer })).toMatch(/^unsupported: hypervisor t does not tell what/);
});

describe("buses and names", () => {
  test.each([
    [0, "vda"],
    [25, "vdz"],
    [26, "vdaa"],
    [51, "vdaz"],
    [52, "vdba"],
    [702, "vdaaa"],
  ])("disk %i is %s", (index, name) => {
    expect(targetName("vd", index)).toBe(name);
  });

  test("SCSI, SATA and USB share their names", () => {
    const next = targetNames();
    expect(["virtio", "scsi", "sata", "virtio", "usb", "ide"].map(next)).toEqual([
      "vda",
      "sda",
      "sdb",
      "vdb",
      "sdc",
      "hda",
    ]);
  });

  test("virtio, and for Windows what it has a driver for", async () => {
    const plain = await chosen({});
    expect(busOf({ linked: false }, "disks[0]", plain.hardware, plain.has)).toBe("virtio");
    const { hardware, has } = await chosen({}, {}, WINDOWS);
    expect(busOf({ linked: false }, "disks[0]", hardware, has)).toBe("sata");
    expect(hardware.video).toBe("vga");
    expect(() => busOf({ linked: false, bus: "ide" }, "disks[2]", hardware, has)).toThrow(
      /^disks\[2\]\.bus: machine pc-q35-7\.2 has no ide; there are scsi, virtio, usb, sata$/,
    );
  });

  test.each([
    [{}, {}, "sata"],
    [{ machine: "pc" }, {}, "ide"],
    [{}, { arch: "aarch64" }, "scsi"],
  ])("the CD-ROM of %j on %j is on %s", async (wish, changes, bus) => {
    expect(cdromBus((await chosen(wish, changes)).hardware)).toBe(bus);
  });
});
