/** What a new domain shall be: the fields of domain/create, which an import can fill in as well. */
import * as z from "zod";
import { CloudInit } from "../cloud-init/schema.ts";
import { Sha256, Sha512 } from "../digests.ts";
import { InterfaceModel } from "../domain/interface-model.ts";
import { Wait } from "../domain/wait-for-guest.ts";
import { ImageUrl, isUrl } from "../download/url.ts";
import { InterfaceName, Mac, NetworkName, NewName, PoolName } from "../names.ts";
import { Capacity, NewMemory } from "../size.ts";
import { Path } from "../storage/import-image.ts";
import { KnownVolume } from "../storage/volume.ts";

/** QEMU writes to images of other formats too, but badly: volume/upload converts them. */
const DiskFormat = z.enum(["qcow2", "raw"]);

const Image = z
  .string()
  .superRefine((text, ctx) => {
    const { error } = (isUrl(text) ? ImageUrl : KnownVolume).safeParse(text);
    for (const { message } of error?.issues ?? []) ctx.addIssue({ code: "custom", message });
  })
  .meta({ "x-libvirt": "volume" })
  .describe("an image of which the disk becomes a copy: a volume, or the URL of a download");

export const DiskWish = z
  .strictObject({
    size: Capacity.optional().describe(
      'GiB, or with a unit such as "512MiB": a new empty volume, or the size that the copy of image grows to',
    ),
    volume: KnownVolume.optional().describe("an existing volume of the pool, used as it is"),
    image: Image.optional(),
    sha256: Sha256.optional(),
    sha512: Sha512.optional(),
    image_pool: PoolName.optional().describe(
      "the pool of the image; that of the disk unless given",
    ),
    linked: z
      .boolean()
      .default(false)
      .describe("an overlay on the image instead of a copy; the image must then stay as it is"),
    path: Path.optional().describe("an existing image file in an allowed folder, used as it is"),
    pool: PoolName.optional().describe('"default" unless given'),
    format: DiskFormat.optional().describe(
      "of a new disk: qcow2 where the pool can have it; an existing one must be of it",
    ),
    bus: z
      .enum(["virtio", "scsi", "sata", "ide", "usb"])
      .optional()
      .describe("virtio; sata for Windows, which brings no driver for it"),
  })
  .superRefine((disk, ctx) => {
    for (const [path, message] of diskIssues(disk)) ctx.addIssue({ code: "custom", path, message });
  });

type Disk = z.output<typeof DiskWish>;

/** Fields that contradict each other. */
function diskIssues(disk: Omit<Disk, "size"> & { size?: unknown }): [string[], string][] {
  const { size, volume, image, image_pool, linked, path, pool, format } = disk;
  const sources = Object.entries({ volume, image, path }).filter(([, one]) => one !== undefined);
  const [, second] = sources;
  const [first] = sources;
  const issues: [string[], string][] = [];
  if (second) issues.push([[second[0]], `a disk is made of one thing, and ${first?.[0]} is given`]);
  else if (!first && size === undefined)
    issues.push([[], "needs one of size, volume, image and path"]);
  if (size !== undefined && (volume ?? path) !== undefined)
    issues.push([["size"], "only for a new disk; volume/resize changes the size of an old one"]);
  if (image === undefined && image_pool !== undefined)
    issues.push([["image_pool"], "only beside image"]);
  if (image === undefined && linked) issues.push([["linked"], "only beside image"]);
  if (image !== undefined && isUrl(image)) {
    const why = "only for an image that is a volume";
    if (image_pool !== undefined) issues.push([["image_pool"], why]);
    if (linked) issues.push([["linked"], why]);
  } else {
    const why = "only beside an image that is a URL";
    if (disk.sha256 !== undefined) issues.push([["sha256"], why]);
    if (disk.sha512 !== undefined) issues.push([["sha512"], why]);
  }
  if (linked && format === "raw") issues.push([["format"], "an overlay is always a qcow2"]);
  if (path !== undefined && pool !== undefined)
    issues.push([["pool"], "a path is of no pool; name the volume for one of a pool"]);
  return issues;
}

/** The group bit of a MAC's first byte: such an address is of no single interface. */
const isUnicast = (mac: string) => (Number.parseInt(mac.slice(0, 2), 16) & 1) === 0;

export const NetworkWish = z
  .strictObject({
    network: NetworkName.optional().describe(
      'a network of libvirt; "default" unless bridge is given',
    ),
    bridge: InterfaceName.optional().describe("a bridge of the hypervisor, in place of a network"),
    model: InterfaceModel.optional().describe("virtio; e1000e for Windows"),
    mac: Mac.refine(isUnicast, "must be the address of one interface, whose second digit is even")
      .optional()
      .describe("generated unless given"),
  })
  .refine(({ network, bridge }) => network === undefined || bridge === undefined, {
    path: ["bridge"],
    error: "an interface has a network or a bridge, not both",
  });

/** A person types a path, or the name of an ISO in a pool. */
const CdromWish = z
  .union([
    Path,
    z.strictObject({
      volume: KnownVolume,
      pool: PoolName.default("default"),
    }),
  ])
  .describe("an ISO: its path in an allowed folder, or { volume, pool }");

const isUnlike = (list: string[]) => new Set(list).size === list.length;

/** A machine, a CPU model or a system, as QEMU, libvirt and libosinfo name them. */
const Word = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, "must be a word such as q35");

const Fields = z.strictObject({
  name: NewName,
  memory: NewMemory.default(2048).describe("MiB"),
  vcpus: z.int().min(1).max(4096).default(2).describe("CPUs that the guest sees"),
  disks: z
    .array(DiskWish)
    .max(64)
    .default([])
    .describe("in the guest's order, each from a size, a volume, an image or a path"),
  networks: z
    .array(NetworkWish)
    .max(32)
    .default([{ network: "default" }])
    .describe('the interfaces; [] for none, one on network "default" unless given'),
  firmware: z
    .enum(["bios", "uefi", "uefi-secure"])
    .optional()
    .describe("bios, and uefi where there is no other; uefi-secure starts signed systems alone"),
  machine: Word.optional().describe("such as q35 (the default) or pc"),
  cpu: Word.optional().describe(
    "host (the default with KVM), host-model, maximum (all that emulation can), or a model's name",
  ),
  virt_type: z
    .enum(["kvm", "qemu"])
    .optional()
    .describe("kvm where the hypervisor can; qemu emulates the CPU, which is slow"),
  osinfo: z
    .string()
    .regex(/^[A-Za-z0-9][\w:/.+-]{0,199}$/, "must be a name such as debian12")
    .optional()
    .describe("the guest's system as libosinfo names it, such as debian12 or win11"),
  graphics: z
    .enum(["vnc", "spice", "none"])
    .default("vnc")
    .describe("a screen that listens on the hypervisor's loopback address alone"),
  tpm: z.boolean().default(false).describe("an emulated TPM 2.0"),
  cdrom: CdromWish.optional(),
  boot: z
    .array(z.enum(["disk", "cdrom", "network"]))
    .min(1)
    .refine(isUnlike, "names one twice")
    .optional()
    .describe("what it boots from, in this order: disk, then cdrom; network where it has neither"),
  cloud_init: CloudInit.optional().describe("what the guest's cloud-init is told"),
  seed_pool: PoolName.optional().describe(
    "where the volume for cloud-init goes; that of the first disk of a pool unless given",
  ),
  start: z.boolean().default(false).describe("start it now"),
  autostart: z.boolean().default(false).describe("start it whenever the hypervisor starts"),
  wait: Wait.optional().describe(
    "answer when the guest is there; the domain stays if it does not come",
  ),
});

export const DomainWish = Fields.superRefine((wish, ctx) => {
  const refuse = (path: string[], message: string) =>
    ctx.addIssue({ code: "custom", path, message });
  if (wish.seed_pool !== undefined && !wish.cloud_init) refuse(["seed_pool"], "is for cloud_init");
  if (wish.wait && !wish.start) refuse(["wait"], "needs start: true");
  if (wish.wait?.eject && !wish.cloud_init) refuse(["wait", "eject"], "is for cloud_init");
});

export type DiskWish = z.output<typeof DiskWish>;
export type NetworkWish = z.output<typeof NetworkWish>;
export type DomainWish = z.output<typeof DomainWish>;
