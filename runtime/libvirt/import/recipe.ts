/** What an import would do, as data: programs with their arguments, the domain's definition, the space. Nothing is done. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { domainDefinition } from "../create/definition.ts";
import { describeSource } from "./describe.ts";
import { planImport } from "./import.ts";
import type { Source } from "./source.ts";
import { asWorkflow, toImport, type Workflow } from "./workflow-input.ts";

/** Named here, and started by the room of storage alone, where it can open nothing else. */
const CONVERTER = "qemu-img";

export const Recipe = z.object({
  source: z.object({ path: z.string(), kind: z.string(), accepted: z.boolean() }),
  steps: z.array(
    z.object({
      step: z.string(),
      argv: z.array(z.string()).nullable().describe("null for what this server does itself"),
    }),
  ),
  converter: z.enum([CONVERTER, "virt-v2v"]),
  domain_xml: z.string(),
  space: z.object({
    source_bytes: z.number().describe("what the images take in the source"),
    most_bytes: z.number().nullable().describe("what the volumes take once they are full"),
  }),
  service: z.string().nullable().describe("a unit of systemd; null, with the reason"),
  reasons: z.record(z.string(), z.string()).describe("why a field is null, by field"),
});

const NO_SERVICE =
  "a conversion is a job of this server, which goes on after a crash; no service of its own is needed";

export async function writeRecipe(ctx: Context, input: Workflow): Promise<z.output<typeof Recipe>> {
  const from = { field: "vmdk_path", path: input.vmdk_path };
  const wish = await toImport(ctx, input);
  const { accepted, reason, image } = await describeSource(ctx, from.field, from.path);
  const planned = await asWorkflow(() => planImport(ctx, from, wish));
  const { source, plan, putsDrivers } = planned;
  const images = source.appliance.disks.flatMap(({ file }, i) => {
    const disk = plan.disks[i];
    return file === undefined || !disk ? [] : [{ file, disk }];
  });
  const convert = images.map(({ file, disk }) => ({
    step: `${file} becomes disk ${disk.target}`,
    argv: [CONVERTER, "convert", "-O", disk.format, file, disk.path],
  }));
  const drivers = {
    step: "virt-v2v puts virtio drivers in",
    argv: ["virt-v2v-in-place", "-i", "libvirtxml", "guest.xml"],
  };
  const capacities = source.appliance.disks.map(
    ({ capacity }) => capacity ?? image?.virtual_size_bytes ?? null,
  );
  const most = capacities.includes(null)
    ? null
    : capacities.reduce<number>((sum, one) => sum + (one ?? 0), 0);
  return {
    source: { path: source.file.path, kind: source.kind, accepted },
    steps: [
      { step: "every image and the manifest are checked", argv: null },
      ...convert,
      ...(putsDrivers ? [drivers] : []),
      { step: "the domain is defined", argv: ["virsh", "define", "domain.xml"] },
      ...(wish.start
        ? [{ step: "it is started", argv: ["virsh", "start", plan.machine.name] }]
        : []),
    ],
    converter: putsDrivers ? "virt-v2v" : CONVERTER,
    domain_xml: `${domainDefinition(plan.machine)}`,
    space: {
      source_bytes: images.reduce((sum, { file }) => sum + bytesOf(source, file), 0),
      most_bytes: most,
    },
    service: null,
    reasons: {
      service: NO_SERVICE,
      ...(most === null && {
        "space.most_bytes": "the source does not tell the size of its disks before they are opened",
      }),
      ...(reason !== null && { "source.accepted": reason }),
    },
  };
}

function bytesOf({ members, appliance, file, kind }: Source, name: string): number {
  const member = members.find((one) => one.name === name);
  return member?.size ?? appliance.sizes.get(name) ?? (kind === "image" ? file.size : 0);
}
