/** GET /libvirt/domain?name=: one domain in detail. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName } from "#runtime/libvirt/names.ts";
import { keyValues } from "#runtime/libvirt/virsh-output.ts";
import { attribute, children, type Element, parseXml, textOf } from "#runtime/libvirt/xml.ts";

const Text = z.string().nullable();

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Show one domain",
  input: z.strictObject({ name: DomainName }),
  output: z.object({
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
    interfaces: z.array(
      z.object({ mac: Text, type: z.string(), source: Text, model: Text, device: Text }),
    ),
  }),
  message: ({ name, state }) => `Domain ${name} is ${state}`,
  examples: [{ name: "my-vm" }],

  async run({ name }, ctx) {
    const ref = await domainRef(ctx, name);
    const [info = "", definition = ""] = await ctx.virsh.all([
      ["dominfo", "--domain", ref],
      ["dumpxml", "--domain", ref],
    ]);
    const said = keyValues(info);
    const domain = parseXml(definition, "domain");
    return {
      name: textOf(domain, "name") ?? name,
      uuid: said.UUID ?? "",
      id: said.Id && said.Id !== "-" ? Number(said.Id) : null,
      title: textOf(domain, "title") ?? null,
      description: textOf(domain, "description") ?? null,
      state: said.State ?? "no state",
      persistent: said.Persistent === "yes",
      autostart: said.Autostart === "enable",
      managed_save: said["Managed save"] === "yes",
      vcpus: Number(said["CPU(s)"]),
      memory_kb: Number.parseInt(said["Used memory"] ?? "", 10),
      max_memory_kb: Number.parseInt(said["Max memory"] ?? "", 10),
      os: {
        type: textOf(domain, "os", "type") ?? null,
        arch: attribute(domain, "arch", "os", "type") ?? null,
        machine: attribute(domain, "machine", "os", "type") ?? null,
        firmware: attribute(domain, "firmware", "os") ?? textOf(domain, "os", "loader") ?? null,
        nvram: textOf(domain, "os", "nvram") ?? null,
      },
      disks: children(domain, "devices", "disk").map(disk),
      interfaces: children(domain, "devices", "interface").map((one) => ({
        mac: attribute(one, "address", "mac") ?? null,
        type: `${one["@type"]}`,
        source: sourceOf(one),
        model: attribute(one, "type", "model") ?? null,
        device: attribute(one, "dev", "target") ?? null,
      })),
    };
  },
});

function disk(one: Element) {
  return {
    device: attribute(one, "dev", "target") ?? "",
    kind: `${one["@device"] ?? "disk"}`,
    bus: attribute(one, "bus", "target") ?? null,
    source: sourceOf(one),
    format: attribute(one, "type", "driver") ?? null,
    readonly: one.readonly !== undefined,
  };
}

/** A path, a network, a bridge, or a volume as `pool/volume`. */
function sourceOf(one: Element): string | null {
  const source = children(one, "source")[0];
  const pool = source?.["@pool"] && `${source["@pool"]}/${source["@volume"]}`;
  const found = ["@file", "@dev", "@network", "@bridge", "@name"]
    .map((key) => source?.[key])
    .find(Boolean);
  return (pool || (found as string | undefined)) ?? null;
}
