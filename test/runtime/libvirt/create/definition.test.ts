/** The definition of a new domain, for every kind of machine. */
import { describe, expect, test } from "vitest";
import { domainDefinition, type Machine } from "../../../../runtime/libvirt/create/definition.ts";
import { attribute, children, parseXml, textOf } from "../../../../runtime/libvirt/xml.ts";

const MACHINE: Machine = {
  ...{ name: "web", uuid: "u-1", memory: 2048, vcpus: 2, arch: "x86_64", virtType: "kvm" },
  ...{ machine: "q35", isQ35: true, firmware: "bios", cpu: { mode: "host-passthrough" } },
  ...{ graphics: "vnc", video: "virtio", tpm: undefined, system: undefined, boot: ["disk"] },
  disks: [{ device: "disk", target: "vda", bus: "virtio", format: "qcow2", path: "/pool/a" }],
  interfaces: [{ network: "default", mac: "52:54:00:00:00:01", model: "virtio" }],
};

const made = (changes: Partial<Machine> = {}) =>
  parseXml(`${domainDefinition({ ...MACHINE, ...changes })}`, "domain");
type Domain = ReturnType<typeof made>;
const all = (domain: Domain, key: string, ...path: string[]) =>
  children(domain, ...path).map((one) => one[`@${key}`]);

test("a usual machine", () => {
  const domain = made();
  expect([domain["@type"], textOf(domain, "name"), textOf(domain, "uuid")]).toEqual([
    "kvm",
    "web",
    "u-1",
  ]);
  expect([attribute(domain, "unit", "memory"), textOf(domain, "memory")]).toEqual(["MiB", "2048"]);
  expect(textOf(domain, "vcpu")).toBe("2");
  expect(children(domain, "os")[0]).not.toHaveProperty("@firmware");
  expect(all(domain, "dev", "os", "boot")).toEqual(["hd"]);
  expect(children(domain, "cpu")).toEqual([
    expect.objectContaining({ "@mode": "host-passthrough", "@migratable": "on" }),
  ]);
  expect(all(domain, "listen", "devices", "graphics")).toEqual([undefined]);
  expect(all(domain, "address", "devices", "graphics", "listen")).toEqual(["127.0.0.1"]);
  expect(
    all(domain, "model", "devices", "controller").filter((model) => model === "pcie-root-port"),
  ).toHaveLength(14);
  expect(all(domain, "name", "devices", "channel", "target")).toEqual(["org.qemu.guest_agent.0"]);
  expect(children(domain, "metadata")).toEqual([]);
});

test("names, paths and words from outside stay what they are", () => {
  const hostile = `a"b'<c>&amp;]]>--`;
  const domain = made({
    name: hostile,
    disks: [{ device: "disk", target: "vda", bus: "virtio", format: "raw", path: `/p/${hostile}` }],
    interfaces: [{ network: hostile, mac: "52:54:00:00:00:01", model: "virtio" }],
    system: { id: `http://${hostile}`, isWindows: false },
  });
  const text = `${domainDefinition({ ...MACHINE, name: hostile })}`;
  expect(text).toContain("a&quot;b&apos;&lt;c&gt;&amp;amp;]]&gt;--");
  expect(children(domain, "devices", "disk")).toHaveLength(1);
  expect(attribute(domain, "file", "devices", "disk", "source")).toContain("/p/a");
});

test.each([
  ["bios", undefined, [], undefined, []],
  ["uefi", "efi", ["no", "no"], undefined, []],
  ["uefi-secure", "efi", ["yes", "yes"], "yes", ["on"]],
] as const)("%s", (firmware, efi, features, secure, smm) => {
  const domain = made({ firmware });
  expect(attribute(domain, "firmware", "os")).toBe(efi);
  expect(all(domain, "enabled", "os", "firmware", "feature")).toEqual(features);
  expect(attribute(domain, "secure", "os", "loader")).toBe(secure);
  expect(all(domain, "state", "features", "smm")).toEqual(smm);
});

describe("disks", () => {
  test("a device, a CD-ROM, and the controller of SCSI", () => {
    const domain = made({
      disks: [
        { device: "disk", target: "sda", bus: "scsi", format: "raw", path: "/dev/vg/a" },
        { device: "cdrom", target: "sdb", bus: "sata", format: "raw", path: "/iso/a.iso" },
      ],
    });
    const [disk, cdrom] = children(domain, "devices", "disk");
    expect([disk?.["@type"], attribute(disk, "dev", "source")]).toEqual(["block", "/dev/vg/a"]);
    expect(attribute(disk, "discard", "driver")).toBe("unmap");
    expect([cdrom?.["@type"], cdrom?.["@device"]]).toEqual(["file", "cdrom"]);
    expect(cdrom).toHaveProperty("readonly");
    expect(attribute(cdrom, "discard", "driver")).toBeUndefined();
    expect(all(domain, "model", "devices", "controller")).toContain("virtio-scsi");
    expect(all(made(), "model", "devices", "controller")).not.toContain("virtio-scsi");
  });
});

test("interfaces on a bridge and on a network", () => {
  const domain = made({
    interfaces: [
      { bridge: "br0", mac: "52:54:00:00:00:02", model: "e1000e" },
      { network: "lan", mac: "52:54:00:00:00:03", model: "virtio" },
    ],
  });
  expect(all(domain, "type", "devices", "interface")).toEqual(["bridge", "network"]);
  const sources = children(domain, "devices", "interface", "source");
  expect(sources.map((one) => one["@bridge"] ?? one["@network"])).toEqual(["br0", "lan"]);
});

test.each([
  [{ mode: "maximum" }, "maximum", undefined],
  [{ model: "Nehalem" }, "custom", "Nehalem"],
  [undefined, undefined, undefined],
])("CPU %j", (cpu, mode, model) => {
  const domain = made({ cpu });
  expect([attribute(domain, "mode", "cpu"), textOf(domain, "cpu", "model")]).toEqual([mode, model]);
});

describe("Windows", () => {
  const system = { id: "http://microsoft.com/win/11", isWindows: true };

  test("with KVM it has what Hyper-V has", () => {
    const domain = made({ system });
    expect(attribute(domain, "offset", "clock")).toBe("localtime");
    expect(children(domain, "features", "hyperv")).toHaveLength(1);
    expect(all(domain, "name", "clock", "timer")).toContain("hypervclock");
    expect(attribute(domain, "id", "metadata", "libosinfo:libosinfo", "libosinfo:os")).toBe(
      system.id,
    );
  });

  test("emulated it has not, since QEMU then lacks it", () => {
    const domain = made({ system, virtType: "qemu" });
    expect(children(domain, "features", "hyperv")).toEqual([]);
    expect(all(domain, "name", "clock", "timer")).not.toContain("hypervclock");
  });
});

describe("screens", () => {
  test("spice has the channel of its agent, none has nothing", () => {
    const spice = made({ graphics: "spice" });
    expect(all(spice, "name", "devices", "channel", "target")).toContain("com.redhat.spice.0");
    expect(all(spice, "type", "devices", "graphics")).toEqual(["spice"]);
    const none = made({ graphics: "none" });
    for (const device of ["graphics", "video", "input"])
      expect(children(none, "devices", device)).toEqual([]);
  });
});

test("a TPM", () => {
  const domain = made({ tpm: "tpm-crb" });
  expect(attribute(domain, "model", "devices", "tpm")).toBe("tpm-crb");
  expect(attribute(domain, "version", "devices", "tpm", "backend")).toBe("2.0");
});

test("of another architecture: none of what only a PC has", () => {
  const domain = made({ arch: "aarch64", machine: "virt", isQ35: false, firmware: "uefi" });
  expect(Object.keys(children(domain, "features")[0] ?? {}).sort()).toEqual(["#text", "acpi"]);
  expect(children(domain, "pm")).toEqual([]);
  expect(children(domain, "clock", "timer")).toEqual([]);
  expect(all(domain, "type", "devices", "input")).toEqual(["tablet", "keyboard"]);
  expect(all(domain, "model", "devices", "controller")).toContain("pcie-root-port");
  expect(
    all(made({ machine: "pc", isQ35: false }), "model", "devices", "controller"),
  ).not.toContain("pcie-root-port");
});
