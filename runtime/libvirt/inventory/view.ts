/** A domain of the inventory as callers see it. */
import * as z from "zod";
import { NameOfDomain } from "../names.ts";
import type { Vm } from "./vm.ts";

const Texts = z.array(z.string()).nullable();

export const VmView = z.object({
  name: NameOfDomain,
  path: z.string().describe("`host/name`"),
  host: z.string(),
  uuid: z.string(),
  power_state: z.string().nullable().describe("running, paused, shut off …"),
  guest_os: z.string().nullable().describe("as the definition names it, such as debian12"),
  memory_mb: z.number().nullable().describe("MiB it may use now"),
  num_cpu: z.int().nullable(),
  storage_bytes: z.null().describe("unknown here: QEMU of each domain would be asked"),
  tags: Texts,
  networks: Texts.describe("libvirt's networks and bridges of its interfaces"),
  addresses: Texts.describe("by the leases of libvirt's networks; null where they tell none"),
  reason: z.string().nullable().describe("why fields are null, or old"),
});

export function describeVm(vm: Vm): z.input<typeof VmView> {
  const { host, name, uuid, state, memory, vcpus, tags, os, networks, bridges, addresses } = vm;
  return {
    ...{ name, path: `${host}/${name}`, host, uuid, power_state: state, guest_os: os || null },
    memory_mb: memory === null ? null : memory / 1024 ** 2,
    ...{ num_cpu: vcpus, storage_bytes: null, tags, addresses, reason: vm.reason ?? null },
    networks: networks && [...networks, ...(bridges ?? [])],
  };
}
