/** What a file is that somebody wants to import, and whether it would be taken; nothing is made. */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { imageNode, onImage } from "../storage/import-file.ts";
import { probeImage } from "../storage/qemu-img.ts";
import { readPiece } from "./foreign-file.ts";
import { inspectBare } from "./images.ts";
import { readSource, type Source } from "./source.ts";
import { assertManifest } from "./verify.ts";

const Text = z.string().nullable();
const Bytes = z.number().nullable();

export const Description = z.object({
  path: z.string(),
  kind: z.enum(["ova", "ovf", "vmx", "image"]),
  size_bytes: z.number().describe("of the file"),
  accepted: z.boolean().describe("an import would take it, as far as this file tells"),
  reason: Text.describe("why it would not"),
  image: z
    .object({
      format: z.string(),
      subformat: Text.describe("of a VMDK, such as streamOptimized or monolithicFlat"),
      virtual_size_bytes: Bytes.describe("as a guest sees it"),
      extents: z
        .array(z.object({ access: z.string(), sectors: z.number(), type: z.string(), file: Text }))
        .describe("of a VMDK's descriptor"),
      parent: Text.describe("the image below it"),
    })
    .nullable()
    .describe("of a bare image"),
  machine: z
    .object({
      name: Text,
      memory: z.number().nullable().describe("MiB"),
      vcpus: z.number().nullable(),
      firmware: Text,
      os: Text.describe("its system, in the words of the description"),
      disks: z.array(z.object({ file: Text, capacity_bytes: Bytes })),
      networks: z.array(z.object({ network: z.string(), mac: Text })),
      manifest: z.boolean(),
    })
    .nullable()
    .describe("of an OVA, OVF or VMX"),
});
export type Description = z.output<typeof Description>;

export async function describeSource(
  ctx: Context,
  field: string,
  path: string,
): Promise<Description> {
  const source = await readSource(ctx, field, path);
  const { file, kind } = source;
  const common = { path: file.path, kind, size_bytes: file.size };
  if (kind === "image") return { ...common, machine: null, ...(await describeImage(ctx, source)) };
  const reason = await verdict(() => assertManifest(ctx, source));
  return { ...common, accepted: reason === null, reason, image: null, machine: machineOf(source) };
}

/** Null, or why it is refused. */
async function verdict(look: () => Promise<unknown>): Promise<string | null> {
  try {
    await look();
    return null;
  } catch (error) {
    if (error instanceof HyperError && error.code === "invalid_input") return error.message;
    throw error;
  }
}

const machineOf = ({ appliance, digests }: Source) => ({
  name: appliance.name ?? null,
  memory: appliance.memory ?? null,
  vcpus: appliance.vcpus ?? null,
  firmware: appliance.firmware ?? null,
  os: appliance.guest ?? null,
  disks: appliance.disks.map(({ file, capacity }) => ({
    file: file ?? null,
    capacity_bytes: capacity ?? null,
  })),
  networks: appliance.networks.map(({ network, mac }) => ({ network, mac: mac ?? null })),
  manifest: digests !== undefined,
});

async function describeImage(ctx: Context, { file }: Source) {
  const descriptor = await readDescriptor(ctx, file);
  const reason = await verdict(() => inspectBare(ctx, file));
  const info = reason === null ? await readInfo(ctx, file) : undefined;
  const format = info?.format ?? (descriptor ? "vmdk" : null);
  if (format === null) return { accepted: false, reason, image: null };
  const image = {
    format,
    subformat: descriptor?.match(/^createType\s*=\s*"([^"]*)"/m)?.[1] ?? null,
    virtual_size_bytes: info?.["virtual-size"] ?? null,
    extents: extentsOf(descriptor ?? ""),
    parent: parentOf(descriptor ?? ""),
  };
  return { accepted: reason === null, reason, image };
}

const DESCRIPTOR_BYTES = 20 * 1024;

/** A sparse VMDK has it within, from its second sector on in most cases. */
async function readDescriptor(ctx: Context, file: Source["file"]): Promise<string | undefined> {
  const bytes = await readPiece(ctx, file, 0, Math.min(file.size, DESCRIPTOR_BYTES));
  const isSparse = bytes.toString("latin1", 0, 4) === "KDMV";
  const start = bytes.indexOf("# Disk DescriptorFile");
  if (start < 0 || (start > 0 && !isSparse)) return undefined;
  const end = bytes.indexOf(0, start);
  return bytes.toString("utf8", start, end < 0 ? bytes.length : end);
}

const extentsOf = (descriptor: string) =>
  [...descriptor.matchAll(/^\s*(RW|RDONLY|NOACCESS)\s+(\d{1,15})\s+(\w+)(?:\s+"([^"]*)")?/gm)].map(
    ([, access = "", sectors, type = "", name]) => ({
      ...{ access, sectors: Number(sectors), type, file: name ?? null },
    }),
  );

function parentOf(descriptor: string): string | null {
  const cid = descriptor.match(/^\s*parentCID\s*=\s*([0-9a-f]+)/im)?.[1];
  if (cid === undefined || /^f{8}$/i.test(cid)) return null;
  return descriptor.match(/^\s*parentFileNameHint\s*=\s*"([^"]*)"/im)?.[1] ?? cid;
}

async function readInfo(ctx: Context, file: Source["file"]) {
  const exec = onImage(ctx, file);
  const result = await probeImage(exec, "/proc/self/fd/3");
  if (result.exitCode !== 0) return undefined;
  const info: { format: string; "virtual-size": number } = JSON.parse(result.stdout);
  if (info.format !== "vpc") return info;
  const exact = await probeImage(exec, "/proc/self/fd/3", imageNode({ format: "vpc" }));
  return exact.exitCode === 0 ? (JSON.parse(exact.stdout) as typeof info) : info;
}
