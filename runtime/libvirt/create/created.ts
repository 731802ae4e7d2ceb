/** What libvirt has made of a new domain's definition, beside what was asked. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDisks } from "../disk.ts";
import { readInterfaces } from "../domain/interface.ts";
import { Guest } from "../domain/wait-for-guest.ts";
import { attribute, children, type Element, parseXml, textOf } from "../xml.ts";
import type { Machine } from "./definition.ts";
import type { PlannedDisk } from "./planned.ts";

export const Created = z.object({
  name: z.string(),
  uuid: z.string(),
  started: z.boolean(),
  autostart: z.boolean(),
  memory: z.int().describe("MiB"),
  vcpus: z.int(),
  virt_type: z.string().describe("kvm, or qemu where the CPU is emulated"),
  machine: z.string(),
  firmware: z.string(),
  cpu: z.string().nullable().describe("its mode or model; null for QEMU's default"),
  graphics: z.string(),
  tpm: z.boolean(),
  boot: z.array(z.string()),
  disks: z.array(
    z.object({
      target: z.string(),
      device: z.string().describe("disk or cdrom"),
      bus: z.string(),
      format: z.string(),
      path: z.string(),
      pool: z.string().nullable(),
      volume: z.string().nullable(),
      made: z.boolean().describe("made for this domain"),
    }),
  ),
  macs: z.array(z.string()),
  networks: z.array(
    z.object({
      network: z.string().nullable(),
      bridge: z.string().nullable(),
      model: z.string(),
      mac: z.string(),
    }),
  ),
  seed: z
    .object({ pool: z.string(), volume: z.string(), path: z.string() })
    .nullable()
    .describe("the volume that cloud-init reads; it goes with the domain's storage"),
  guest: Guest.optional().describe("what was waited for"),
  reasons: z
    .record(z.string(), z.string())
    .describe("why a field is not as it is best, by field: virt_type where nobody asked for qemu"),
});

export type Created = z.output<typeof Created>;

/** The parts of a definition that a request decides. */
function facts(domain: Element) {
  const [cpu] = children(domain, "cpu");
  const isSecure = attribute(domain, "secure", "os", "loader") === "yes";
  const isEfi = attribute(domain, "firmware", "os") === "efi";
  const unit = attribute(domain, "unit", "memory");
  const memory = Number(textOf(domain, "memory")) / (unit === "MiB" ? 1 : 1024);
  return {
    ...{ name: textOf(domain, "name"), uuid: textOf(domain, "uuid"), memory },
    vcpus: Number(textOf(domain, "vcpu")),
    virt_type: `${domain["@type"]}`,
    machine: attribute(domain, "machine", "os", "type"),
    firmware: isSecure ? "uefi-secure" : isEfi ? "uefi" : "bios",
    cpu: textOf(cpu, "model") ?? (cpu ? `${cpu["@mode"]}` : null),
    graphics: attribute(domain, "type", "devices", "graphics") ?? "none",
    tpm: children(domain, "devices", "tpm").length > 0,
    boot: children(domain, "os", "boot").map((one) => `${one["@dev"]}`.replace("hd", "disk")),
    disks: readDisks(domain).map(({ target, device, bus = "", format = "", path = "" }) => ({
      ...{ target, device, bus, format, path },
    })),
    networks: readInterfaces(domain).map(({ type, source, model, mac }) => ({
      network: type === "network" ? source : null,
      bridge: type === "bridge" ? source : null,
      ...{ model, mac },
    })),
  };
}

type Facts = ReturnType<typeof facts>;

/** The same of what was asked. */
function wanted({ cpu, tpm, virtType, interfaces, ...machine }: Machine): Facts {
  const { name, uuid, memory, vcpus, firmware, graphics, boot } = machine;
  return {
    ...{ name, uuid, memory, vcpus, firmware, graphics, boot },
    ...{ virt_type: virtType, machine: machine.machine, tpm: tpm !== undefined },
    cpu: cpu ? ("mode" in cpu ? cpu.mode : cpu.model) : null,
    disks: machine.disks.map(({ target, device, bus, format, path }) => ({
      ...{ target, device, bus, format, path },
    })),
    networks: interfaces.map(({ network = null, bridge = null, model, mac }) => ({
      ...{ network, bridge, model, mac },
    })),
  };
}

/** Throws `unsupported`, naming each field that libvirt did not take. */
export async function readCreated(ctx: Context, machine: Machine, disks: PlannedDisk[]) {
  const text = await ctx.virsh(["dumpxml", "--domain", machine.uuid, "--inactive"]);
  const found = facts(parseXml(text, "domain"));
  const asked = wanted(machine);
  const byTarget = (list: Facts["disks"]) =>
    list.toSorted((a, b) => (a.target < b.target ? -1 : 1));
  const differences = (Object.keys(asked) as (keyof Facts)[]).flatMap((key) => {
    if (key === "cpu" && asked.cpu === null) return []; // libvirt may write QEMU's default down
    const sorted = (one: Facts) => JSON.stringify(key === "disks" ? byTarget(one.disks) : one[key]);
    return sorted(found) === sorted(asked)
      ? []
      : `${key}: ${sorted(found)} instead of ${sorted(asked)}`;
  });
  if (differences.length > 0) {
    const text = `libvirt did not take all of the new domain: ${differences.join("; ")}`;
    throw new HyperError("unsupported", text);
  }
  return { ...asked, name: machine.name, uuid: machine.uuid, ...answerOf(asked, disks) };
}

function answerOf({ disks, networks, machine = "" }: Facts, planned: PlannedDisk[]) {
  return {
    machine,
    disks: disks.map((disk) => {
      const {
        pool = null,
        name = null,
        make,
      } = planned.find(({ target }) => target === disk.target) ?? {};
      return { ...disk, pool, volume: name, made: make !== undefined };
    }),
    macs: networks.map(({ mac }) => `${mac}`),
    networks: networks.map((one) => ({ ...one, model: `${one.model}`, mac: `${one.mac}` })),
  };
}
