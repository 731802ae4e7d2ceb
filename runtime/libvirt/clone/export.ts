/** A domain as files that need nothing else: its definition, its disks without backing files, a manifest. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import { timestamp } from "../../core/time.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { domainRef } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { withRollback } from "../rollback.ts";
import { allowedPath } from "../storage/import-image.ts";
import { IMAGE_TIMEOUT } from "../storage/volume.ts";
import { xml } from "../xml.ts";
import { descend, type Span, XmlDocument } from "../xml-document.ts";
import { nvramFile } from "./identity.ts";

interface File {
  name: string;
  size: number;
  sha256: string;
}

const taken = (path: string) =>
  new HyperError("already_exists", `export_path: ${path} exists already`);

/** Written beside its place and moved there when complete, so that the final name never holds half an export. */
export async function exportDomain(ctx: Context, name: string, folder: string, compress: boolean) {
  const ref = await domainRef(ctx, name);
  const [state = "", text = ""] = await ctx.virsh.all([
    ["domstate", "--domain", ref],
    ["dumpxml", "--domain", ref, "--inactive", "--security-info"],
  ]);
  if (state.trim() !== "shut off") {
    throw new HyperError(
      "in_use",
      `template: domain ${name} is ${state.trim()}; shut it down first`,
    );
  }
  const real = await allowedPath(ctx, `${folder}/${name}`, "export_path");
  if ((await ctx.exec(["test", "-e", real])).exitCode === 0) throw taken(real);
  const partial = `${real}.partial-${randomBytes(4).toString("hex")}`;
  return withRollback(ctx, `export of ${name} to ${real}`, async (journal) => {
    await makeParents(ctx, journal, real);
    await journal.track({ kind: "folder", path: partial }, () =>
      run(ctx, ["mkdir", "-m", "700", "--", partial]),
    );
    const doc = new XmlDocument(text);
    const names: string[] = [];
    for (const span of doc.find("devices", "disk")) {
      const made = await exportDisk(ctx, doc, span, partial, real, compress);
      if (made) names.push(made);
    }
    names.push(...(await exportNvram(ctx, doc, partial, real)), "domain.xml");
    await write(ctx, `${partial}/domain.xml`, `${doc}`);
    const files = await sums(ctx, partial, names);
    const manifest = { template: name, created: timestamp(), compressed: compress, files };
    await write(ctx, `${partial}/manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
    await run(ctx, ["mv", "-n", "-T", "--", partial, real]);
    // -n is silent when another export came first
    if ((await ctx.exec(["test", "-e", partial])).exitCode === 0) throw taken(real);
    return { template: name, path: real, files };
  });
}

/** Prints those of the paths that are not there. */
const MISSING = 'for path; do [ -e "$path" ] || printf "%s\\0" "$path"; done';

/** One by one, so that exactly those that were made here can be removed again. */
async function makeParents(ctx: Context, journal: Journal, real: string) {
  const names = real.split("/").slice(1, -1);
  const parents = names.map((_, i) => `/${names.slice(0, i + 1).join("/")}`);
  const { stdout } = await run(ctx, ["sh", "-c", MISSING, "sh", ...parents]);
  for (const path of stdout.split("\0").slice(0, -1)) {
    const make = async () => {
      const done = await ctx.exec(["mkdir", "--", path]);
      if (done.exitCode === 0) return;
      const isThere = (await ctx.exec(["test", "-d", path])).exitCode === 0;
      throw isThere ? taken(path) : programError("mkdir", done);
    };
    await journal.track({ kind: "parent", path }, make).catch((error: HyperError) => {
      if (error.code !== "already_exists") throw error; // else somebody else was first: it is theirs
    });
  }
}

/** The file's name; undefined for what is only referred to. */
async function exportDisk(
  ctx: Context,
  doc: XmlDocument,
  span: Span,
  partial: string,
  real: string,
  compress: boolean,
) {
  const [place] = descend([span], ["source"]);
  if (!place) return undefined;
  const { pool, volume, file, dev } = place.attributes;
  if (span.attributes.device === "cdrom") {
    // where it is not, the drive is empty; libvirt refuses this for one that it reads over the network
    if (file || dev || volume) doc.setAttribute(place, "startupPolicy", "optional");
    return undefined;
  }
  const named =
    pool && volume ? await ctx.virsh(["vol-path", "--pool", pool, "--vol", volume]) : undefined;
  const path = file ?? dev ?? named?.replace(/\n+$/, "");
  const target = descend([span], ["target"])[0]?.attributes.dev ?? "disk";
  if (!path)
    throw new HyperError("unsupported", `disk ${target} is neither a file, a device nor a volume`);
  const [driver] = descend([span], ["driver"]);
  const from = driver?.attributes.type ?? "raw";
  const format = compress ? "qcow2" : from;
  const name = `${target}.${format}`;
  const options = [...(compress ? ["-c"] : []), "-f", from, "-O", format];
  await run(ctx, ["qemu-img", "convert", ...options, path, `${partial}/${name}`], IMAGE_TIMEOUT);
  doc.setAttribute(span, "type", "file");
  doc.replace(place, `${xml`<source file="${`${real}/${name}`}"/>`}`);
  if (driver) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain);
  return name;
}

async function exportNvram(
  ctx: Context,
  doc: XmlDocument,
  partial: string,
  real: string,
): Promise<string[]> {
  const nvram = nvramFile(doc);
  if (!nvram || (await ctx.exec(["test", "-e", nvram.path])).exitCode !== 0) return [];
  await run(ctx, ["cp", "--", nvram.path, `${partial}/nvram.fd`]);
  nvram.set(`${real}/nvram.fd`);
  return ["nvram.fd"];
}

/** Hashing a large image takes as long as copying it. */
async function sums(ctx: Context, folder: string, names: string[]): Promise<File[]> {
  const paths = names.map((name) => `${folder}/${name}`);
  const sha256 = (await run(ctx, ["sha256sum", "-z", "--", ...paths], IMAGE_TIMEOUT)).stdout.split(
    "\0",
  );
  const sizes = (await run(ctx, ["stat", "-c", "%s", "--", ...paths])).stdout.split("\n");
  return names.map((name, i) => ({
    name,
    size: Number(sizes[i]),
    sha256: `${sha256[i]}`.slice(0, 64),
  }));
}

async function write(ctx: Context, path: string, text: string) {
  await run(ctx, ["sh", "-c", 'cat >"$1"', "sh", path], undefined, text);
}

async function run(ctx: Context, argv: string[], timeout = 60_000, input = "") {
  const done = await ctx.exec(argv, { timeout, input, signal: ctx.signal });
  if (done.exitCode !== 0) throw programError(argv[0] ?? "", done);
  return done;
}
