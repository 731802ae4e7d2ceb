/** Exports a domain as self-contained files: its definition, its disks without backing files, a manifest. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import { timestamp } from "../../core/time.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecOptions } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { readDisk } from "../disk.ts";
import { domainRef } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { pathExists, runProgram } from "../program.ts";
import { withRollback } from "../rollback.ts";
import { allowedPath } from "../storage/import-image.ts";
import { convertDisk } from "../storage/isolation-chain.ts";
import { IMAGE_TIMEOUT_MS } from "../storage/volume.ts";
import { parseXml, xml } from "../xml.ts";
import { descend, type Span, XmlDocument } from "../xml-document.ts";
import { nvramFile } from "./identity.ts";

interface ExportedFile {
  name: string;
  size: number;
  sha256: string;
}

const taken = (path: string) =>
  new HyperError("already_exists", `export_path: ${path} exists already`);

/** Writes beside the final place and moves there when complete, so that the name never holds half an export. */
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
  if (await pathExists(ctx, real)) throw taken(real);
  const partial = `${real}.partial-${randomBytes(4).toString("hex")}`;
  return withRollback(ctx, `export of ${name} to ${real}`, async (journal) => {
    await makeParents(ctx, journal, real);
    await journal.track({ kind: "folder", path: partial }, () =>
      run(ctx, ["mkdir", "-m", "700", "--", partial]),
    );
    const doc = new XmlDocument(text);
    const names: string[] = [];
    for (const span of doc.find("devices", "disk")) {
      const file = await exportDisk(ctx, doc, span, partial, real, compress);
      if (file) names.push(file);
    }
    names.push(...(await exportNvram(ctx, doc, partial, real)), "domain.xml");
    await write(ctx, `${partial}/domain.xml`, `${doc}`);
    const files = await describeFiles(ctx, partial, names);
    const manifest = { template: name, created: timestamp(), compressed: compress, files };
    await write(ctx, `${partial}/manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
    await run(ctx, ["mv", "-n", "-T", "--", partial, real]);
    // mv -n says nothing if another export came first
    if (await pathExists(ctx, partial)) throw taken(real);
    return { template: name, path: real, files };
  });
}

/** Prints the paths that do not exist. */
const MISSING = 'for path; do [ -e "$path" ] || printf "%s\\0" "$path"; done';

/** Makes the parents one by one, so that a rollback removes exactly those that were made here. */
async function makeParents(ctx: Context, journal: Journal, real: string) {
  const names = real.split("/").slice(1, -1);
  const parents = names.map((_, i) => `/${names.slice(0, i + 1).join("/")}`);
  const { stdout } = await run(ctx, ["sh", "-c", MISSING, "sh", ...parents]);
  for (const path of stdout.split("\0").slice(0, -1)) {
    const make = async () => {
      const result = await ctx.exec(["mkdir", "--", path]);
      if (result.exitCode === 0) return;
      const exists = (await ctx.exec(["test", "-d", path])).exitCode === 0;
      throw exists ? taken(path) : programError("mkdir", result);
    };
    await journal.track({ kind: "parent", path }, make).catch((error: HyperError) => {
      if (error.code !== "already_exists") throw error; // another process was first: the folder is theirs
    });
  }
}

/** Returns the file's name; undefined for a disk that is only referenced. */
async function exportDisk(
  ctx: Context,
  doc: XmlDocument,
  span: Span,
  partial: string,
  real: string,
  compress: boolean,
) {
  const [source] = descend([span], ["source"]);
  if (!source) return undefined;
  const disk = readDisk(parseXml(doc.text.slice(span.start, span.end), "disk"));
  if (disk.device === "cdrom") {
    // a missing image then leaves the drive empty; libvirt refuses this for one that it reads over the network
    if (disk.path || disk.volume) doc.setAttribute(source, "startupPolicy", "optional");
    return undefined;
  }
  const { pool, volume, format: from = "raw" } = disk;
  const volumePath =
    pool && volume ? await ctx.virsh(["vol-path", "--pool", pool, "--vol", volume]) : undefined;
  const path = disk.path ?? volumePath?.replace(/\n+$/, "");
  const target = disk.target || "disk";
  if (!path)
    throw new HyperError("unsupported", `disk ${target} is neither a file, a device nor a volume`);
  const format = compress ? "qcow2" : from;
  const name = `${target}.${format}`;
  const files = {
    source: path,
    sourceFormat: from,
    target: `${partial}/${name}`,
    targetFormat: format,
  };
  const limits = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const result = await convertDisk(ctx, { ...files, compress }, limits);
  if (result.exitCode !== 0) throw programError("qemu-img", result);
  doc.setAttribute(span, "type", "file");
  doc.replace(source, `${xml`<source file="${`${real}/${name}`}"/>`}`);
  for (const driver of descend([span], ["driver"])) doc.setAttribute(driver, "type", format);
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
  if (!nvram || !(await pathExists(ctx, nvram.path))) return [];
  await run(ctx, ["cp", "--", nvram.path, `${partial}/nvram.fd`]);
  nvram.set(`${real}/nvram.fd`);
  return ["nvram.fd"];
}

/** Reads sizes and checksums; hashing a large image takes as long as copying it. */
async function describeFiles(
  ctx: Context,
  folder: string,
  names: string[],
): Promise<ExportedFile[]> {
  const paths = names.map((name) => `${folder}/${name}`);
  const hashing = { timeout: IMAGE_TIMEOUT_MS };
  const sums = await run(ctx, ["sha256sum", "-z", "--", ...paths], hashing);
  const sha256 = sums.stdout.split("\0");
  const sizes = (await run(ctx, ["stat", "-c", "%s", "--", ...paths])).stdout.split("\n");
  return names.map((name, i) => ({
    name,
    size: Number(sizes[i]),
    sha256: `${sha256[i]}`.slice(0, 64),
  }));
}

async function write(ctx: Context, path: string, text: string) {
  await run(ctx, ["sh", "-c", 'cat >"$1"', "sh", path], { input: text });
}

const RUN_TIMEOUT_MS = 60_000;

/** Runs a program that ends when the client disconnects. */
const run = (ctx: Context, argv: string[], options: Partial<ExecOptions> = {}) =>
  runProgram(ctx, argv, { timeout: RUN_TIMEOUT_MS, signal: ctx.signal, ...options });
