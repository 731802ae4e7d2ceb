/** Every input that is refused by itself, and the field that it is about. */
import { expect, test } from "vitest";
import { inputError } from "../../../../runtime/core/errors.ts";
import { DomainWish } from "../../../../runtime/libvirt/create/wish.ts";

const parse = (wish: object) => DomainWish.safeParse({ name: "web", ...wish });

test("the defaults", () => {
  expect(parse({}).data).toEqual({
    ...{ name: "web", memory: 2048, vcpus: 2, disks: [], networks: [{ network: "default" }] },
    ...{ graphics: "vnc", tpm: false, start: false, autostart: false },
  });
});

test.each([
  [{ size: 20 }, 20 * 2 ** 30],
  [{ size: "20GiB" }, 20 * 2 ** 30],
  [{ size: "500M" }, 500 * 2 ** 20],
])("%j", (disk, size) => {
  expect(parse({ disks: [disk] }).data?.disks[0]?.size).toBe(size);
});

test("a CD-ROM is a path, or a volume of a pool", () => {
  expect(parse({ cdrom: "/iso/a.iso" }).data?.cdrom).toBe("/iso/a.iso");
  expect(parse({ cdrom: { volume: "a.iso" } }).data?.cdrom).toEqual({
    volume: "a.iso",
    pool: "default",
  });
});

test.each<[object, RegExp]>([
  [{ name: "" }, /^name: /],
  [{ name: "a/b" }, /^name: /],
  [{ name: "6f9619ff-8b86-4d01-b42d-00cf4fc964ff" }, /^name: must not be a UUID/],
  [{ memory: 0 }, /^memory: /],
  [{ memory: 2 }, /^memory: must be at least 16, since it is in MiB: 2 GiB are 2048/],
  [{ memory: 1.5 }, /^memory: /],
  [{ memory: "2048" }, /^memory: /],
  [{ memory: 2 ** 31 }, /^memory: /],
  [{ vcpus: 0 }, /^vcpus: /],
  [{ vcpus: 5000 }, /^vcpus: /],
  [{ disks: {} }, /^disks: /],
  [{ disks: [{}] }, /^disks\.0: needs one of size, volume, image and path/],
  [{ disks: [{ bus: "virtio" }] }, /^disks\.0: needs one of/],
  [{ disks: [{ size: -1 }] }, /^disks\.0\.size: must be more than 0/],
  [{ disks: [{ size: "x" }] }, /^disks\.0\.size: must be more than 0/],
  [{ disks: [{ size: 1 }, { size: null }] }, /^disks\.1\.size: /],
  [{ disks: [{ volume: "a", size: 1 }] }, /^disks\.0\.size: only for a new disk/],
  [{ disks: [{ path: "/a", size: 1 }] }, /^disks\.0\.size: only for a new disk/],
  [{ disks: [{ volume: "a", image: "b" }] }, /^disks\.0\.image: .*volume is given/],
  [{ disks: [{ volume: "../a" }] }, /^disks\.0\.volume: /],
  [{ disks: [{ image: "-a" }] }, /^disks\.0\.image: /],
  [{ disks: [{ image: "ftp://a/b" }] }, /^disks\.0\.image: must be a URL that begins with http/],
  [{ disks: [{ image: "http://me:pw@a/b" }] }, /^disks\.0\.image: must not hold a user/],
  [{ disks: [{ image: "http://a/b", linked: true }] }, /^disks\.0\.linked: only for an image that/],
  [{ disks: [{ image: "http://a/b", image_pool: "p" }] }, /^disks\.0\.image_pool: only for an/],
  [{ disks: [{ image: "a", sha256: "0".repeat(64) }] }, /^disks\.0\.sha256: only beside an image/],
  [{ disks: [{ image: "http://a/b", sha512: "0" }] }, /^disks\.0\.sha512: must be 128 hexa/],
  [{ disks: [{ path: "a" }] }, /^disks\.0\.path: must be an absolute path/],
  [{ disks: [{ path: "/a\n" }] }, /^disks\.0\.path: /],
  [{ disks: [{ path: "/a", pool: "p" }] }, /^disks\.0\.pool: /],
  [{ disks: [{ size: 1, image_pool: "p" }] }, /^disks\.0\.image_pool: only beside image/],
  [{ disks: [{ size: 1, linked: true }] }, /^disks\.0\.linked: only beside image/],
  [{ disks: [{ image: "a", linked: true, format: "raw" }] }, /^disks\.0\.format: /],
  [{ disks: [{ size: 1, format: "vmdk" }] }, /^disks\.0\.format: /],
  [{ disks: [{ size: 1, bus: "nvme" }] }, /^disks\.0\.bus: /],
  [{ disks: [{ sise: 1 }] }, /^disks\.0: (unknown key|needs one of)/],
  [{ disks: Array(65).fill({ size: 1 }) }, /^disks: /],
  [{ networks: {} }, /^networks: /],
  [{ networks: [{ network: "a", bridge: "b" }] }, /^networks\.0\.bridge: /],
  [{ networks: [{ network: "a/b" }] }, /^networks\.0\.network: /],
  [{ networks: [{ bridge: "a".repeat(16) }] }, /^networks\.0\.bridge: /],
  [{ networks: [{ model: "virtio'" }] }, /^networks\.0\.model: /],
  [{ networks: [{ mac: "52:54:00" }] }, /^networks\.0\.mac: /],
  [
    { networks: [{ mac: "01:00:5e:00:00:01" }] },
    /^networks\.0\.mac: must be the address of one interface/,
  ],
  [{ networks: [{ vlan: 5 }] }, /^networks\.0: unknown key "vlan"/],
  [{ firmware: "efi" }, /^firmware: /],
  [{ machine: "" }, /^machine: /],
  [{ machine: "q35,accel=kvm" }, /^machine: /],
  [{ cpu: "host,+vmx" }, /^cpu: /],
  [{ virt_type: "xen" }, /^virt_type: /],
  [{ osinfo: "a b" }, /^osinfo: /],
  [{ osinfo: "$(id)" }, /^osinfo: /],
  [{ graphics: "sdl" }, /^graphics: /],
  [{ tpm: "2.0" }, /^tpm: /],
  [{ cdrom: "a.iso" }, /^cdrom: /],
  [{ cdrom: {} }, /^cdrom/],
  [{ boot: "disk" }, /^boot: /],
  [{ boot: [] }, /^boot: /],
  [{ boot: ["floppy"] }, /^boot\.0: /],
  [{ boot: ["disk", "disk"] }, /^boot: names one twice/],
  [{ start: "yes" }, /^start: /],
  [{ autostart: 1 }, /^autostart: /],
  [{ seed_pool: "p" }, /^seed_pool: is for cloud_init/],
  [{ cloud_init: { hostnme: "a" } }, /^cloud_init: unknown key "hostnme"/],
  [{ wait: { for: "agent" } }, /^wait: needs start: true/],
  [{ wait: { for: "lunch" }, start: true }, /^wait\.for: /],
  [{ wait: { for: "cloud-init", eject: true }, start: true }, /^wait\.eject: is for cloud_init/],
  [{ ram: 5 }, /unknown key "ram"/],
])("%j is refused", (wish, text) => {
  const { error } = parse(wish);
  expect(error && inputError(error).message).toMatch(text);
});
