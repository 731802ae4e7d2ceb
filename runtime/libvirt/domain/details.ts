/** One domain in detail, from `dominfo` and its definition. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { type Disk, readDisks } from "../disk.ts";
import { keyValues } from "../virsh-output.ts";
import { attribute, type Element, parseXml, textOf } from "../xml.ts";
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
});

/** `ref`: the words for `--domain`. One round trip; throws `not_found`. */
export async function readDomain(
  { virsh }: Pick<Context, "virsh">,
  name: string,
  ref: string,
): Promise<z.output<typeof DomainDetails>> {
  const [dominfo = "", definition = ""] = await virsh.all([
    ["dominfo", "--domain", ref],
    ["dumpxml", "--domain", ref],
  ]);
  const info = keyValues(dominfo);
  const domain = parseXml(definition, "domain");
  return {
    name: textOf(domain, "name") ?? name,
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
