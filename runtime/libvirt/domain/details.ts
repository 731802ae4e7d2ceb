/** One domain in detail, from `dominfo` and its definition. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { readKnown, reasonsFor } from "../definitions.ts";
import { type Disk, readDisks } from "../disk.ts";
import { keyValues } from "../virsh-output.ts";
import { attribute, type Element, textOf } from "../xml.ts";
import { DomainInterface, readInterfaces } from "./interface.ts";

const Text = z.string().nullable();

export const DomainDetails = z.object({
  name: z.string(),
  uuid: z.string(),
  id: z.int().nullable().describe("while it runs"),
  title: Text,
  description: Text,
  state: z.string(),
  persistent: z.boolean(),
  autostart: z.boolean(),
  managed_save: z.boolean(),
  vcpus: z.int(),
  memory_kb: z.number().describe("KiB it may use now"),
  max_memory_kb: z.number(),
  os: z.object({ type: Text, arch: Text, machine: Text, firmware: Text, nvram: Text }),
  disks: z.array(
    z.object({
      device: z.string(),
      kind: z.string(),
      bus: Text,
      source: Text,
      format: Text,
      readonly: z.boolean(),
    }),
  ),
  interfaces: z.array(DomainInterface),
  reasons: z
    .record(z.string(), z.string())
    .describe("why a field is null, empty or old while QEMU does not answer, by field"),
});

/** The fields that only the definition has. */
const OF_DEFINITION = ["title", "description", "os", "disks", "interfaces"];

/** `ref`: the words for `--domain`. Throws `not_found`. */
export async function readDomain(
  ctx: Context,
  name: string,
  ref: string,
): Promise<z.output<typeof DomainDetails>> {
  const [dominfo, { domain, stuck }] = await Promise.all([
    ctx.virsh(["dominfo", "--domain", ref]),
    readKnown(ctx, ref),
  ]);
  const info = keyValues(dominfo);
  return {
    name: textOf(domain, "name") ?? info.Name ?? name,
    uuid: info.UUID ?? "",
    id: info.Id && info.Id !== "-" ? Number(info.Id) : null,
    title: textOf(domain, "title") ?? null,
    description: textOf(domain, "description") ?? null,
    state: info.State ?? "no state",
    persistent: info.Persistent === "yes",
    autostart: info.Autostart === "enable",
    managed_save: info["Managed save"] === "yes",
    vcpus: Number(info["CPU(s)"]),
    memory_kb: Number.parseInt(info["Used memory"] ?? "", 10),
    max_memory_kb: Number.parseInt(info["Max memory"] ?? "", 10),
    os: readOs(domain),
    disks: readDisks(domain).map(summarize),
    interfaces: readInterfaces(domain),
    reasons: reasonsFor(OF_DEFINITION, stuck),
  };
}

function readOs(domain: Element) {
  return {
    type: textOf(domain, "os", "type") ?? null,
    arch: attribute(domain, "arch", "os", "type") ?? null,
    machine: attribute(domain, "machine", "os", "type") ?? null,
    firmware: attribute(domain, "firmware", "os") ?? textOf(domain, "os", "loader") ?? null,
    nvram: textOf(domain, "os", "nvram") ?? null,
  };
}

/** The source is a path, the name of a network disk, or a volume as `pool/volume`. */
function summarize({ target, device, bus, pool, volume, path, name, format, readonly }: Disk) {
  return {
    device: target,
    kind: device,
    bus: bus ?? null,
    source: (pool ? `${pool}/${volume}` : path || name) || null,
    format: format ?? null,
    readonly,
  };
}
