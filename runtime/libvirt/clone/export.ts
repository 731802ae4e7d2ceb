/** Exports a domain as self-contained files: its definition, its disks without backing files, a manifest. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import { timestamp } from "../../core/time.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecOptions } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { domainRef } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { pathExists, runProgram } from "../program.ts";
import { withRollback } from "../rollback.ts";
import { mayRead, mayWrite, needsRoot } from "../storage/image-access.ts";
import { allowedPath } from "../storage/import-image.ts";
import { IMAGE_TIMEOUT_MS } from "../storage/volume.ts";
import { XmlDocument } from "../xml-document.ts";
import { planExport, retargetExport, writeDisk } from "./export-disk.ts";
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
  const doc = new XmlDocument(await readDefinition(ctx, name));
  const real = await allowedPath(ctx, `${folder}/${name}`, "export_path");
  if (await pathExists(ctx, real)) throw taken(real);
  const disks = await planExport(ctx, doc, compress);
  const nvram = await readableNvram(ctx, doc);
  const partial = `${real}.partial-${randomBytes(4).toString("hex")}`;
  return withRollback(ctx, `export of ${name} to ${real}`, async (journal) => {
    await makeParents(ctx, journal, real);
    await journal.track({ kind: "folder", path: partial }, () =>
      run(ctx, ["mkdir", "-m", "700", "--", partial]),
    );
    for (const disk of disks) {
      await writeDisk(ctx, journal, disk, partial, compress);
      retargetExport(doc, disk, real);
    }
    if (nvram) await run(ctx, ["cp", "--", nvram.path, `${partial}/nvram.fd`]);
    nvram?.set(`${real}/nvram.fd`);
    await write(ctx, `${partial}/domain.xml`, `${doc}`);
    const names = [...disks.map((disk) => disk.name), ...(nvram ? ["nvram.fd"] : []), "domain.xml"];
    const files = await describeFiles(ctx, partial, names);
    const manifest = { template: name, created: timestamp(), compressed: compress, files };
    await write(ctx, `${partial}/manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
    await runProgram(ctx, ["sh", "-c", MOVE, "sh", partial, real], { signal: ctx.signal }, "mv");
    if (await pathExists(ctx, partial)) throw taken(real); // another export came first
    return { template: name, path: real, files };
  });
}

async function readDefinition(ctx: Context, name: string): Promise<string> {
  const ref = await domainRef(ctx, name);
  const [state = "", text = ""] = await ctx.virsh.all([
    ["domstate", "--domain", ref],
    ["dumpxml", "--domain", ref, "--inactive", "--security-info"],
  ]);
  if (state.trim() === "shut off") return text;
  throw new HyperError("in_use", `template: domain ${name} is ${state.trim()}; shut it down first`);
}

/** The firmware's variables, if the domain has any yet. */
async function readableNvram(ctx: Context, doc: XmlDocument) {
  const nvram = nvramFile(doc);
  if (!nvram) return undefined;
  const denied = () => needsRoot(ctx, `an export reads the NVRAM file ${nvram.path}`);
  const exists = await pathExists(ctx, nvram.path).catch((error: HyperError) => {
    throw error.code === "permission_denied" ? denied() : error;
  });
  if (!exists) return undefined;
  if (!(await mayRead(ctx, nvram.path, "raw"))) throw denied();
  return nvram;
}

/** Renames a folder, never into one that is in its place. */
const MOVE = `[ -e "$2" ] || [ -L "$2" ] || mv -- "$1" "$2" || exit
inside=$2/\${1##*/}
[ ! -e "$inside" ] || mv -- "$inside" "$1"`;

/** Prints the paths that do not exist. */
const MISSING = 'for path; do [ -e "$path" ] || printf "%s\\0" "$path"; done';

/** Makes the parents one by one, so that a rollback removes exactly those that were made here. */
async function makeParents(ctx: Context, journal: Journal, real: string) {
  const names = real.split("/").slice(1, -1);
  const parents = ["/", ...names.map((_, i) => `/${names.slice(0, i + 1).join("/")}`)];
  const { stdout } = await run(ctx, ["sh", "-c", MISSING, "sh", ...parents]);
  const missing = stdout.split("\0").slice(0, -1);
  const last = parents.findLast((path) => !missing.includes(path)) ?? "/";
  if (!(await mayWrite(ctx, last)))
    throw needsRoot(ctx, `export_path: an export writes to ${last}`);
  for (const path of missing) {
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

const HASH = 'for file; do sha256sum <"$file" || exit; done';

/** Reads sizes and checksums; hashing a large image takes as long as copying it. */
async function describeFiles(
  ctx: Context,
  folder: string,
  names: string[],
): Promise<ExportedFile[]> {
  const paths = names.map((name) => `${folder}/${name}`);
  const hashing = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const sums = await runProgram(ctx, ["sh", "-c", HASH, "sh", ...paths], hashing, "sha256sum");
  const sha256 = sums.stdout.split("\n");
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
