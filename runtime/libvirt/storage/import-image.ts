/**
 * Disk images that come from outside. An attacker may try to read the hypervisor's own files through one: by the
 * path, by a link swapped in, by a header that names another file.
 */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecResult } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { IMAGE_FD, LOOK, onImage, refusedImage, type SourceImage } from "./import-file.ts";
import { assertWhole } from "./import-truncation.ts";
import { type ImageInfo, probeImage } from "./qemu-img.ts";

/** A path on the hypervisor. */
export const Path = z
  .string()
  .regex(/^\/[^\p{Cc}\p{Cs}]*$/u, "must be an absolute path without control characters")
  .max(4096);

const RESOLVE_TIMEOUT_MS = 5000;

/** Formats that an image may have; each is checked for other files that it could refer to. */
const ACCEPTED = ["raw", "qcow2", "vmdk", "vdi", "vhdx"];

/** Resolves a path that lies in an allowed folder. The error reveals nothing about what lies elsewhere. */
export async function allowedPath({ exec }: Context, path: string, field: string): Promise<string> {
  const { allowed } = settings().files;
  // symbolic links can resolve to ever longer ones, without end
  const argv = ["realpath", "-mz", "--", path, ...allowed];
  const { stdout } = await exec(argv, { timeout: RESOLVE_TIMEOUT_MS }).catch(
    (error: HyperError) => {
      if (error.code !== "timed_out") throw error;
      return { stdout: "" };
    },
  );
  const [real = "", ...folders] = stdout.split("\0");
  if (folders.some((folder) => folder && real.startsWith(`${folder}/`))) return real;
  const text = `${field}: ${JSON.stringify(path)} is not in an allowed folder (${allowed.join(", ")})`;
  throw new HyperError("invalid_input", text);
}

/** Inspects an image; an `invalid_input` says why it is refused. */
export async function inspectImage(ctx: Context, source: string): Promise<SourceImage> {
  const path = await allowedPath(ctx, source, "source_path");
  const look = await ctx.exec(["sh", "-c", LOOK, "sh", path]);
  if (look.exitCode !== 0) throw refusedImage(source, look.stderr.trim().replace(/^sh: \d+: /, ""));
  const [id = "", header = "", ...opened] = look.stdout.split("\n");
  if (opened.join("\n") !== path) throw refusedImage(source, "was replaced by a link");
  const size = Number(id.split(":")[2]);
  const head = Buffer.from(header, "hex");
  const problem = size === 0 ? "is empty" : headerProblem(head, size);
  if (problem) throw refusedImage(source, problem);

  const probe = await probeImage(onImage(ctx, { path, id }), IMAGE_FD);
  if (probe.exitCode !== 0)
    throw refusedImage(source, `is not a readable image: ${firstLine(probe.stderr)}`);
  const info: ImageInfo = JSON.parse(probe.stdout);
  const reason = infoProblem(info);
  if (reason) throw refusedImage(source, reason);
  const image = { path, format: info.format, virtualSize: info["virtual-size"], id };
  await assertWhole(ctx, image, { source, head, size });
  return image;
}

function infoProblem(info: ImageInfo): string | undefined {
  if (!ACCEPTED.includes(info.format))
    return `is of format ${info.format}; accepted are ${ACCEPTED.join(", ")}`;
  if (info["backing-filename"]) return "has a backing file; flatten it first (qemu-img convert)";
  if (info["format-specific"]?.data?.["data-file"]) return "keeps its data in another file";
  return info.encrypted ? "is encrypted" : undefined;
}

/** Keep the first line of stderr, without the descriptor's name. */
const firstLine = (text: string) =>
  text.split("\n")[0]?.replace(`Could not open '${IMAGE_FD}': `, "");

/** The error of a failed conversion: a read error of QEMU is the image's fault, all else is not. */
export function conversionError(source: string, result: ExecResult): HyperError {
  return /error while reading /.test(result.stderr)
    ? refusedImage(source, `is damaged or truncated: ${firstLine(result.stderr)}`)
    : programError("qemu-img convert", result);
}

/** A VMDK descriptor as QEMU detects it (vmdk_probe): comments and blank lines, then the version. */
const VMDK_DESCRIPTOR = /^(?:(?:#[^\n]*| *\r?)\n)*version=[123]\r?\n|^# Disk DescriptorFile/;

/** Finds references that qemu-img would only report after it has opened the other file, and cuts that it does not check. */
function headerProblem(head: Buffer, size: number): string | undefined {
  if (VMDK_DESCRIPTOR.test(head.toString("latin1"))) {
    return "is a VMDK descriptor, whose data is in other files; give a single-file image";
  }
  if (head.length >= 104 && head.readUInt32BE(0) === 0x514649fb) {
    if (head.readBigUInt64BE(8) !== 0n)
      return "has a backing file; flatten it first (qemu-img convert)";
    // incompatible feature bit 2, from version 3 on: https://www.qemu.org/docs/master/interop/qcow2.html
    if (head.readUInt32BE(4) >= 3 && head.readUInt8(79) & 4)
      return "keeps its data in another file";
  }
  // VDI: offset of the data, size and number of the blocks (QEMU's block/vdi.c)
  if (head.length >= 0x188 && head.readUInt32LE(0x40) === 0xbeda107f) {
    const blocks = head.readUInt32LE(0x184) * head.readUInt32LE(0x178);
    if (head.readUInt32LE(0x158) + blocks > size) return "is truncated";
  }
  return undefined;
}
