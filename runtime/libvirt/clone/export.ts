/** Exports a domain as self-contained files: its definition, its disks without backing files, a manifest. */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import { inParts, type Progress, type ProgressUpdate, unwatched } from "../../core/progress.ts";
import { timestamp } from "../../core/time.ts";
import type { Context } from "../../hypervisor/context.ts";
import type { ExecOptions } from "../../hypervisor/transport.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { dropSeed } from "../cloud-init/attach-seed.ts";
import { domainRef } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { pathExists, runProgram } from "../program.ts";
import { folderId } from "../resource.ts";
import { withRollback } from "../rollback.ts";
import { inCopyPlace } from "../storage/copy-place.ts";
import { mayRead, mayWrite, needsRoot } from "../storage/image-access.ts";
import { allowedPath } from "../storage/import-image.ts";
import { IMAGE_TIMEOUT_MS } from "../storage/volume.ts";
import { XmlDocument } from "../xml-document.ts";
import { type ExportedDisk, planExport, retargetExport, writeDisk } from "./export-disk.ts";
import { findNvram } from "./nvram.ts";

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
  assertOff(name, state);
  const doc = new XmlDocument(text);
  dropSeed(doc);
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
    const parts = progressOf(ctx, disks);
    for (const [i, disk] of disks.entries()) {
      const [progress = unwatched, phase] = [parts[i], `writing ${disk.name}`];
      const told = (update: ProgressUpdate) => progress({ ...update, phase });
      progress({ phase: `waiting to write ${disk.name}`, percent: 0 });
      await inCopyPlace(ctx, () =>
        writeDisk(ctx, journal, disk, partial, { compress, progress: told }),
      );
      progress({ phase, percent: 100 });
      retargetExport(doc, disk, real);
    }
    assertOff(name, await ctx.virsh(["domstate", "--domain", ref])); // the disks may have waited for long
    if (nvram) await run(ctx, ["cp", "--", nvram.path, `${partial}/nvram.fd`]);
    nvram?.set(`${real}/nvram.fd`);
    await write(ctx, `${partial}/domain.xml`, `${doc}`);
    const names = [...disks.map((disk) => disk.name), ...(nvram ? ["nvram.fd"] : []), "domain.xml"];
    const files = await describeFiles(ctx, partial, names);
    const manifest = { template: name, created: timestamp(), compressed: compress, files };
    await write(ctx, `${partial}/manifest.json`, `${JSON.stringify(manifest, null, 2)}\n`);
    // a job that is killed after this is done again, and would find its own export in its place
    const id = await folderId(ctx, partial);
    await journal.track({ kind: "folder", path: real, id }, async () => {
      const argv = ["sh", "-c", MOVE, "sh", partial, real];
      await runProgram(ctx, argv, { signal: ctx.signal }, "mv");
      if (await pathExists(ctx, partial)) throw taken(real); // another export came first
    });
    return { template: name, path: real, files };
  });
}

/** The bytes of the disks count as far as they are known of all; else each disk counts alike. */
function progressOf({ progress }: Context, disks: ExportedDisk[]): Progress[] {
  const data = disks.flatMap((disk) => disk.data ?? []);
  const isKnown = data.length === disks.length;
  return isKnown
    ? inParts(progress, data, "bytes")
    : inParts(
        progress,
        disks.map(() => 1),
      );
}

function assertOff(name: string, state: string) {
  if (state.trim() === "shut off") return;
  throw new HyperError("in_use", `template: domain ${name} is ${state.trim()}; shut it down first`);
}

/** The firmware's variables, if the domain has any yet. */
async function readableNvram(ctx: Context, doc: XmlDocument) {
  const nvram = await findNvram(ctx, doc);
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
  const sizes = (await run(ctx, ["stat", "-c", "%s", "--", ...paths])).stdout.split("\n");
  const total = sizes.reduce((sum, size) => sum + Number(size), 0);
  // sha256sum tells nothing while it reads a file
  ctx.progress({ phase: "computing checksums", percent: null, bytes: 0, total });
  ctx.log.info(`SHA-256 is computed of ${total} bytes in ${folder}.`);
  const hashing = { timeout: IMAGE_TIMEOUT_MS, signal: ctx.signal };
  const sums = await runProgram(ctx, ["sh", "-c", HASH, "sh", ...paths], hashing, "sha256sum");
  const sha256 = sums.stdout.split("\n");
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
