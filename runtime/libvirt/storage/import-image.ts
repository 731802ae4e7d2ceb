/**
 * Disk images that come from outside. Whoever made one may want to read the hypervisor's own files through
 * it: by the path, by a link swapped in, by a header that names another file.
 */
import * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecResult } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { LOOK, readImage, refuse, type SourceImage } from "./import-file.ts";
import { refuseTruncated } from "./import-truncation.ts";

/** A path on the hypervisor. */
export const Path = z
  .string()
  .regex(/^\/[^\p{Cc}\p{Cs}]*$/u, "must be an absolute path without control characters")
  .max(4096);

/** Formats that an image may have; each is checked for what it could refer to. */
const ACCEPTED = ["raw", "qcow2", "vmdk", "vdi", "vhdx"];

/** The path without links, if it lies in an allowed folder. Says nothing of what lies elsewhere. */
export async function allowedPath({ exec }: Context, path: string, field: string): Promise<string> {
  const { allowed } = settings().files;
  // links can be made that resolve to ever longer ones, without end
  const argv = ["realpath", "-mz", "--", path, ...allowed];
  const { stdout } = await exec(argv, { timeout: 5000 }).catch((error: HyperError) => {
    if (error.code !== "timed_out") throw error;
    return { stdout: "" };
  });
  const [real = "", ...folders] = stdout.split("\0");
  if (folders.some((folder) => folder && real.startsWith(`${folder}/`))) return real;
  const text = `${field}: ${JSON.stringify(path)} is not in an allowed folder (${allowed.join(", ")})`;
  throw new HyperError("invalid_input", text);
}

/** What an image is, or an `invalid_input` that says why it is refused. */
export async function inspectImage(ctx: Context, source: string): Promise<SourceImage> {
  const path = await allowedPath(ctx, source, "source_path");
  const look = await ctx.exec(["sh", "-c", LOOK, "sh", path]);
  if (look.exitCode !== 0) throw refuse(source, look.stderr.trim().replace(/^sh: \d+: /, ""));
  const [id = "", header = "", ...opened] = look.stdout.split("\n");
  if (opened.join("\n") !== path) throw refuse(source, "was replaced by a link");
  const size = Number(id.split(":")[2]);
  const head = Buffer.from(header, "hex");
  const problem = size === 0 ? "is empty" : headerProblem(head, size);
  if (problem) throw refuse(source, problem);

  const image = { path, format: "", virtualSize: 0, id };
  const info = await readImage(ctx, image, [
    "qemu-img",
    "info",
    "--output=json",
    "/proc/self/fd/3",
  ]);
  if (info.exitCode !== 0)
    throw refuse(source, `is not a readable image: ${firstLine(info.stderr)}`);
  const said = JSON.parse(info.stdout);
  image.format = said.format;
  image.virtualSize = said["virtual-size"];
  if (!ACCEPTED.includes(image.format)) {
    throw refuse(source, `is of format ${image.format}; accepted are ${ACCEPTED.join(", ")}`);
  }
  if (said["backing-filename"])
    throw refuse(source, "has a backing file; flatten it first (qemu-img convert)");
  if (said["format-specific"]?.data?.["data-file"])
    throw refuse(source, "keeps its data in another file");
  if (said.encrypted) throw refuse(source, "is encrypted");
  await refuseTruncated(ctx, image, { source, head, size });
  return image;
}

/** qemu-img says a line for every bad cluster, and knows the file by its descriptor. */
const firstLine = (text: string) =>
  text.split("\n")[0]?.replace("Could not open '/proc/self/fd/3': ", "");

/** Why a conversion failed: what QEMU cannot read is the image's fault, all else is not. */
export function conversionError(source: string, done: ExecResult): HyperError {
  return /error while reading /.test(done.stderr)
    ? refuse(source, `is damaged or truncated: ${firstLine(done.stderr)}`)
    : programError("qemu-img convert", done);
}

/** As QEMU recognises it (vmdk_probe): comments and blank lines, then the version. */
const VMDK_DESCRIPTOR = /^(?:(?:#[^\n]*| *\r?)\n)*version=[123]\r?\n|^# Disk DescriptorFile/;

/** What qemu-img would only tell after it has opened the other file, and what it does not check. */
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
  // VDI: where the data begins, a block's size and how many there are (QEMU's block/vdi.c)
  if (head.length >= 0x188 && head.readUInt32LE(0x40) === 0xbeda107f) {
    const blocks = head.readUInt32LE(0x184) * head.readUInt32LE(0x178);
    if (head.readUInt32LE(0x158) + blocks > size) return "is truncated";
  }
  return undefined;
}
