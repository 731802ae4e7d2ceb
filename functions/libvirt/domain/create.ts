/** POST /libvirt/domain/create: make a domain with its disks and interfaces, and start it on request. */
import { defineFunction } from "#runtime/function/define.ts";
import { createDomain } from "#runtime/libvirt/create/create.ts";
import { Created } from "#runtime/libvirt/create/created.ts";
import { DomainWish } from "#runtime/libvirt/create/wish.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Create a domain",
  job: { repeat: true },
  status: 201,
  input: DomainWish,
  output: Created,
  message({ name, started, virt_type, reasons }) {
    const why = reasons.virt_type ? `; it is emulated, which is slow: ${reasons.virt_type}` : "";
    return `Domain ${name} created${started ? " and started" : ""}${virt_type === "qemu" ? why : ""}`;
  },
  examples: [
    {
      name: "web-1",
      memory: 2048,
      vcpus: 2,
      disks: [{ image: "debian-12.qcow2", size: 20 }, { size: "50GiB" }],
      networks: [{ network: "default" }],
      start: true,
    },
    { name: "installed", disks: [{ size: 20 }], cdrom: "/data/debian-12.iso", firmware: "uefi" },
  ],

  run: (wish, ctx) => createDomain(ctx, wish),
});
