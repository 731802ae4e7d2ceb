import { expect, test } from "vitest";
import { readDisk, readDisks } from "../../../runtime/libvirt/disk.ts";
import { parseXml } from "../../../runtime/libvirt/xml.ts";

const read = (text: string) => readDisk(parseXml(text, "disk"));

const PLAIN = {
  device: "disk",
  readonly: false,
  shareable: false,
  transient: false,
  sharesBacking: false,
  encrypted: false,
  backingChain: [],
};

test("a qcow2 file on virtio", () => {
  const disk = read(`<disk type='file' device='disk'><driver name='qemu' type='qcow2'/>
    <source file='/pool/a &amp; b.qcow2'/><target dev='vda' bus='virtio'/><serial>S1</serial></disk>`);
  expect(disk).toEqual({
    ...PLAIN,
    kind: "file",
    path: "/pool/a & b.qcow2",
    format: "qcow2",
    target: "vda",
    bus: "virtio",
    serial: "S1",
  });
});

test("a disk that says nothing but its target is a disk without an image or a format", () => {
  expect(read("<disk><target dev='sda'/></disk>")).toEqual({
    ...PLAIN,
    kind: "file",
    target: "sda",
  });
});

test.each([
  ["<source dev='/dev/vg/lv'/>", "block", { path: "/dev/vg/lv" }],
  ["<source pool='default' volume='a.img'/>", "volume", { pool: "default", volume: "a.img" }],
  ["<source protocol='rbd' name='p/i'/>", "network", { protocol: "rbd", name: "p/i" }],
  ["<source dir='/srv/fat'/>", "dir", { directory: "/srv/fat" }],
  ["<source type='pci' namespace='1'/>", "nvme", {}],
  ["<source type='unix' path='/run/v.sock'/>", "vhostuser", { socket: "/run/v.sock" }],
  ["<source dev='/dev/vhost-vdpa-0'/>", "vhostvdpa", { path: "/dev/vhost-vdpa-0" }],
])("%s of a disk of type %s", (source, kind, rest) => {
  const disk = read(`<disk type='${kind}' device='lun'>${source}<target dev='sdb'/></disk>`);
  expect(disk).toEqual({ ...PLAIN, kind, device: "lun", target: "sdb", ...rest });
});

test("flags are elements, whatever is in them", () => {
  const disk = read(
    "<disk device='cdrom'><target dev='hda'/><readonly/><shareable/><transient shareBacking='yes'/></disk>",
  );
  expect(disk).toMatchObject({
    device: "cdrom",
    readonly: true,
    shareable: true,
    transient: true,
    sharesBacking: true,
  });
  expect(read("<disk><transient/></disk>")).toMatchObject({
    transient: true,
    sharesBacking: false,
  });
});

test("the images below, from the top down, each with its own format; the last element is empty", () => {
  const disk = read(`<disk type='file'><driver type='qcow2'/><source file='/top'/>
    <backingStore type='volume'><format type='qcow2'/><source pool='p' volume='mid'/>
      <backingStore type='block'><format type='raw'/><source dev='/dev/base'/><backingStore/></backingStore>
    </backingStore><target dev='vda'/></disk>`);
  expect(disk.path).toBe("/top");
  expect(disk.backingChain).toEqual([
    { kind: "volume", pool: "p", volume: "mid", format: "qcow2", encrypted: false },
    { kind: "block", path: "/dev/base", format: "raw", encrypted: false },
  ]);
});

test.each([
  "<source file='/luks'><encryption format='luks'/></source>",
  "<source file='/luks'/><encryption format='luks'/>",
])("encryption: %s", (inner) => {
  expect(read(`<disk>${inner}</disk>`).encrypted).toBe(true);
});

test("all disks of a domain, in its order", () => {
  const domain = parseXml(
    "<domain><devices><disk><target dev='vdb'/></disk><disk><target dev='vda'/></disk></devices></domain>",
    "domain",
  );
  expect(readDisks(domain).map(({ target }) => target)).toEqual(["vdb", "vda"]);
  expect(readDisks(parseXml("<domain/>", "domain"))).toEqual([]);
});
