/** POST /import/kvm: make a domain of an OVA, an OVF or VMX beside its disks, or a disk image. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { Imported, importMachine } from "#runtime/libvirt/import/import.ts";
import { OF_DOMAIN } from "#runtime/libvirt/import/wish.ts";
import { Path } from "#runtime/libvirt/storage/import-image.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Import a virtual machine of another system as a domain",
  job: { repeat: true },
  status: 201,
  input: z.strictObject({
    image_path: Path.describe(
      "an OVA, an OVF or VMX beside its disks, or a VMDK, VHD, VHDX, VDI, qcow2 or raw image, in an allowed folder of the hypervisor",
    ),
    ...OF_DOMAIN,
  }),
  output: Imported,
  message: ({ name, started, source, disks }) =>
    `Domain ${name} made from ${source.kind === "image" ? "an image" : `an ${source.kind.toUpperCase()}`} with ${disks.length} disks${started ? ", and started" : ""}`,
  examples: [
    {
      image_path: "/data/web.ova",
      vm_name: "web-1",
      networks: { "VM Network": "default" },
      keep_macs: true,
      start: true,
    },
    { image_path: "/data/disk.vhdx", vm_name: "gen2", memory: 4096, firmware: "uefi" },
  ],

  run: ({ image_path, ...wish }, ctx) =>
    importMachine(ctx, { field: "image_path", path: image_path }, wish),
});
