/** How a template is marked: in the domain's own metadata, under this project's namespace. */
import { randomUUID } from "node:crypto";
import * as z from "zod";
import type { Copy } from "./clone.ts";
import type { Context } from "./context.ts";
import { HyperError, programError } from "./errors.ts";
import type { Work } from "./work.ts";
import { children, type Element, textOf, xml } from "./xml.ts";
import type { XmlDocument } from "./xml-edit.ts";

const NAMESPACE = "urn:hypersdk:template:1";

export const TemplateMark = z.object({
  source: z.string().describe("the domain it was made from"),
  created: z.string(),
  sealed: z.boolean(),
  description: z.string(),
  metadata: z.record(z.string(), z.string()),
});

export type TemplateMark = z.output<typeof TemplateMark>;

export function addMark(
  doc: XmlDocument,
  { source, created, sealed, description, metadata }: TemplateMark,
) {
  const items = Object.entries(metadata).map(
    ([key, value]) => xml`<hypersdk:item key="${key}">${value}</hypersdk:item>`,
  );
  const mark = xml`<hypersdk:template xmlns:hypersdk="${NAMESPACE}" source="${source}" created="${created}" sealed="${sealed ? "yes" : "no"}"><hypersdk:description>${description}</hypersdk:description>${items}</hypersdk:template>`;
  const [metadataSpan] = doc.find("metadata");
  const [name] = doc.find("name");
  if (metadataSpan) doc.prepend(metadataSpan, `${mark}`);
  else if (name) doc.after(name, `<metadata>\n${mark}\n</metadata>`);
}

export function readMark(domain: Element): TemplateMark | undefined {
  const [mark] = children(domain, "metadata", "hypersdk:template");
  if (!mark) return undefined;
  const items = children(mark, "hypersdk:item").map((item) => [
    `${item["@key"]}`,
    `${item["#text"] ?? ""}`,
  ]);
  return {
    source: `${mark["@source"]}`,
    created: `${mark["@created"]}`,
    sealed: mark["@sealed"] === "yes",
    description: textOf(mark, "hypersdk:description") ?? "",
    metadata: Object.fromEntries(items),
  };
}

/** libguestfs works on big images too, in a virtual machine that may have to be emulated. */
const GUESTFS_TIMEOUT = 2 * 3600 * 1000;

/** Throws `unsupported` before anything is made, rather than in the middle. */
export async function needProgram({ exec, host }: Context, program: string, field: string) {
  if ((await exec(["sh", "-c", 'command -v "$1"', "sh", program])).exitCode === 0) return;
  const text = `${field} needs ${program} on hypervisor ${host}; install its package "libguestfs-tools"`;
  throw new HyperError("unsupported", text);
}

/** root's socket is in /tmp whatever the environment says. Younger than ours, and nobody listens any more: it was ours. */
const SWEEP = `sleep 0.3; for socket in /tmp/libguestfs*/guestfsd.sock; do
folder=\${socket%/*}; [ -S "$socket" ] && [ ! "$folder" -ot "$1" ] || continue
grep -qF "$socket" /proc/net/unix || rm -rf -- "$folder"; done`;

/** virt-sysprep or virt-customize on a domain's disks. `commands`, if any, are read as lines, so no secret is in an argv. */
export async function runGuestfs(
  ctx: Context,
  noted: Work,
  program: string,
  disks: Copy[],
  options: string[],
  commands = "",
) {
  const images = disks.flatMap(({ path, format }) => ["--format", format, "-a", path]);
  // cut off, libguestfs leaves its temporary files: here they can be found and removed
  const folder = `/tmp/hypersdk-${randomUUID()}`;
  await noted.makes({ kind: "folder", path: folder }, () =>
    run(ctx, "mkdir", ["-m", "700", folder]),
  );
  const places = [`LIBGUESTFS_TMPDIR=${folder}`, `XDG_RUNTIME_DIR=${folder}`];
  const env = ["env", "LIBGUESTFS_BACKEND=direct", ...places];
  const argv = [...env, program, "--quiet", ...images, ...options];
  // through cat: what is written to a process here is a socket, which no program can open as /dev/stdin
  const piped = ["sh", "-c", 'cat | "$@"', "sh", ...argv];
  const limits = { timeout: GUESTFS_TIMEOUT, signal: ctx.signal, input: commands };
  const done = await ctx.exec(piped, limits).catch(async (error) => {
    await run(ctx, "sh", ["-c", SWEEP, "sh", folder]);
    throw error;
  });
  if (done.exitCode !== 0) throw programError(program, done);
  await run(ctx, "rm", ["-rf", "--", folder]);
}

async function run({ exec }: Context, program: string, args: string[]) {
  const done = await exec([program, ...args]);
  if (done.exitCode !== 0) throw programError(program, done);
}
