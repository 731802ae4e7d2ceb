/** The clone engine: a new domain from another, with disks and an identity of its own. */
import pLimit, { type LimitFunction } from "p-limit";
import { type Identity, nvramFile, renew, separate, siblingPath } from "./clone-xml.ts";
import { type Context, settings } from "./context.ts";
import { domainRef, listDomains } from "./domain.ts";
import { HyperError, programError } from "./errors.ts";
import { keyValues, lines } from "./text.ts";
import { IMAGE_TIMEOUT, type NewVolume, parseVolume, volumeXml } from "./volume.ts";
import { type Work, work } from "./work.ts";
import { parseXml, textOf } from "./xml.ts";
import { descend, type Span, XmlDocument } from "./xml-edit.ts";

export interface CloneRequest {
  source: string;
  target: string;
  /** Paths for the copies, in the order of the disks; generated where missing. */
  files?: string[];
  /** False: a missing path is an error. */
  autoClone?: boolean;
  newMac?: boolean;
  /** Overlays on the source's disks instead of copies. */
  linked?: boolean;
}

/** What template/create and template/deploy do besides. */
export interface CloneSteps {
  /** Change the definition before it is stored. */
  edit?(doc: XmlDocument): void;
  /** Work on the disks before the domain exists. */
  prepare?(disks: Copy[], noted: Work): Promise<void>;
  /** Work on the domain; a failure removes it. */
  finish?(domain: string): Promise<void>;
}

export interface Copy {
  /** The disk's target, such as `vda`. */
  target: string;
  path: string;
  format: string;
}

interface Plan extends Copy {
  span: Span;
  from: Image;
  pool: string;
  name: string;
}

type Image = Pick<ReturnType<typeof parseVolume>, "pool" | "path"> & {
  /** As the source's guest sees it. */
  format: string;
  size: number;
};

export interface Clone extends Identity {
  name: string;
  disks: Copy[];
}

const copying = new Map<string, LimitFunction>();

/** Copies at once on a hypervisor, whoever asked for them. */
function copyLimit(host: string): LimitFunction {
  const found = copying.get(host) ?? pLimit(settings().clone.copies);
  copying.set(host, found);
  return found;
}

export async function cloneDomain(
  ctx: Context,
  request: CloneRequest,
  steps: CloneSteps = {},
): Promise<Clone> {
  const { source, target, newMac = true, linked = false } = request;
  const ref = await domainRef(ctx, source);
  const [info = "", text = ""] = await ctx.virsh.all([
    ["dominfo", "--domain", ref],
    ["dumpxml", "--domain", ref, "--inactive", "--security-info"],
  ]);
  const state = keyValues(info).State;
  const paused = state === "paused";
  if ((state !== "shut off" && !paused) || (linked && paused)) {
    const need = linked ? "shut it down first" : "shut it down or pause it first";
    throw new HyperError("in_use", `source: domain ${source} is ${state}; ${need}`);
  }
  if ((await listDomains(ctx, "--all")).some(({ name }) => name === target)) {
    throw new HyperError("already_exists", `domain '${target}' already exists`);
  }
  const doc = new XmlDocument(text);
  const plans = await planDisks(ctx, doc, request);
  return work(ctx, `clone of ${source} to ${target}`, async (noted) => {
    for (const plan of plans) {
      if (linked) await makeOverlay(ctx, noted, plan);
      else await copyLimit(ctx.host)(() => makeCopy(ctx, noted, plan, paused));
    }
    if (paused && (await ctx.virsh(["domstate", "--domain", ref])).trim() !== "paused") {
      throw new HyperError("in_use", `source: domain ${source} went on while it was copied`);
    }
    await copyNvram(ctx, noted, doc, source, target);
    const identity = renew(doc, target, newMac);
    separate(doc, source, target);
    for (const plan of plans) pointDisk(doc, plan);
    for (const mark of doc.find("metadata", "hypersdk:template")) doc.remove(mark); // a clone is no template
    steps.edit?.(doc);
    const disks = plans.map(({ target: disk, path, format }) => ({ target: disk, path, format }));
    await steps.prepare?.(disks, noted);
    stillWanted(ctx);
    await noted.makes({ kind: "domain", name: identity.uuid }, () =>
      ctx.virsh(["define", "--file", { text: `${doc}` }]),
    );
    await steps.finish?.(identity.uuid);
    return { name: target, ...identity, disks };
  });
}

/** Which disks are copied and to where. A CD-ROM, and a disk that is shared or only read, is referred to. */
async function planDisks(
  ctx: Context,
  doc: XmlDocument,
  { source, target, files = [], autoClone = true, linked }: CloneRequest,
) {
  const plans: Plan[] = [];
  for (const span of doc.find("devices", "disk")) {
    const has = (name: string) => descend([span], [name]).length > 0;
    const [place] = descend([span], ["source"]);
    const device = span.attributes.device ?? "disk";
    if (!place || has("readonly") || has("shareable") || (device !== "disk" && device !== "lun"))
      continue;
    const disk = descend([span], ["target"])[0]?.attributes.dev ?? "";
    if (has("encryption") || descend([place], ["encryption"]).length > 0) {
      throw new HyperError(
        "unsupported",
        `disk ${disk} of ${source} is encrypted and cannot be cloned`,
      );
    }
    const given = files[plans.length];
    if (given === undefined && !autoClone)
      throw new HyperError("invalid_input", `files: no path for disk ${disk} of ${source}`);
    const from = await readImage(ctx, span, await findVolume(ctx, place, disk, source));
    const wanted = given ?? newPath(from.path, source, target, disk, linked ? ".qcow2" : "");
    const format = linked ? "qcow2" : isDevice(wanted) ? "raw" : from.format;
    const pool = await poolOf(ctx, wanted, given === undefined ? from.pool : undefined);
    const name = wanted.slice(wanted.lastIndexOf("/") + 1);
    if (plans.some(({ path }) => path === wanted))
      throw new HyperError("invalid_input", `files: ${wanted} is named twice`);
    plans.push({ span, target: disk, from, pool, name, path: wanted, format });
  }
  if (files.length > plans.length) {
    throw new HyperError(
      "invalid_input",
      `files: ${source} has ${plans.length} disks to copy, not ${files.length}`,
    );
  }
  return plans;
}

/**
 * A pool knows formats by looking at the data, and a guest can write any header on a raw disk, such as one
 * that names a file of the hypervisor: what the definition says is what the guest has.
 */
async function readImage(
  ctx: Context,
  span: Span,
  volume: ReturnType<typeof parseVolume>,
): Promise<Image> {
  const { pool, path, capacity_bytes } = volume;
  const format = descend([span], ["driver"])[0]?.attributes.type ?? "raw";
  if (format === (volume.format ?? "raw")) {
    return { pool, path, format, size: capacity_bytes };
  }
  const done = await ctx.exec(["qemu-img", "info", "-U", "--output=json", "-f", format, path]);
  if (done.exitCode !== 0) throw programError("qemu-img info", done);
  return { pool, path, format, size: JSON.parse(done.stdout)["virtual-size"] };
}

/** A logical volume or another block device, which holds old data and no image format of libvirt's making. */
const isDevice = (path: string) => path.startsWith("/dev/");

/** `/pool/base-vm.qcow2` becomes `/pool/clone.qcow2`; a name that does not tell its domain gets the disk's target too. */
function newPath(
  path: string,
  source: string,
  target: string,
  disk: string,
  overlay: string,
): string {
  const at = path.lastIndexOf("/") + 1;
  const base = path.slice(at);
  const ending = overlay || (base.match(/\.[A-Za-z0-9]{1,6}$/)?.[0] ?? "");
  const stem = base.includes(source)
    ? base.replace(source, () => target)
    : `${target}-${disk}${ending}`;
  return (
    path.slice(0, at) +
    (overlay && !stem.endsWith(overlay) ? stem.replace(/\.[A-Za-z0-9]{1,6}$/, "") + overlay : stem)
  );
}

/** The volume that a disk stands on. A file that its pool has not seen yet is looked for again. */
async function findVolume(ctx: Context, place: Span, disk: string, source: string) {
  const { file, dev, pool, volume } = place.attributes;
  const path = file ?? dev;
  if (pool && volume)
    return parseVolume(pool, await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", volume]));
  if (!path)
    throw new HyperError(
      "unsupported",
      `disk ${disk} of ${source} is neither a file, a device nor a volume`,
    );
  const look = [
    ["vol-pool", "--vol", path],
    ["vol-dumpxml", "--vol", path],
  ];
  let [found, text] = await ctx.virsh.each(look);
  if (typeof found !== "string") {
    await ctx.virsh(["pool-refresh", "--pool", await poolOf(ctx, path)]);
    [found, text] = await ctx.virsh.each(look);
  }
  if (typeof found !== "string") throw found;
  if (typeof text !== "string") throw text;
  return parseVolume(found.trimEnd(), text);
}

/** The active pool whose folder a path lies in. */
async function poolOf(ctx: Context, path: string, known?: string): Promise<string> {
  if (known !== undefined) return known;
  const folder = path.slice(0, path.lastIndexOf("/"));
  const pools = lines(await ctx.virsh(["pool-list", "--uuid"])).map((uuid) => uuid.trim());
  const texts = await ctx.virsh.each(pools.map((pool) => ["pool-dumpxml", "--pool", pool]));
  const folders: string[] = [];
  for (const text of texts) {
    if (typeof text !== "string") continue;
    const pool = parseXml(text, "pool");
    const target = textOf(pool, "target", "path") ?? "";
    if (target === folder) return textOf(pool, "name") ?? "";
    folders.push(target);
  }
  throw new HyperError(
    "invalid_input",
    `${path} is in no active pool (their folders: ${folders.join(", ")})`,
  );
}

function makeOverlay(ctx: Context, noted: Work, { pool, name, from }: Plan) {
  const backing = { path: from.path, format: from.format };
  return claim(ctx, noted, pool, { name, capacity: from.size, format: "qcow2", backing });
}

/** qemu-img copies, and not libvirtd, whose copy cannot be stopped and is refused while the source is paused. */
async function makeCopy(
  ctx: Context,
  noted: Work,
  { pool, name, from, path, format }: Plan,
  paused: boolean,
) {
  stillWanted(ctx);
  await claim(ctx, noted, pool, { name, capacity: from.size, format });
  const share = paused ? ["-U"] : [];
  const fresh = isDevice(path) ? [] : ["--target-is-zero"];
  const formats = ["-f", from.format, "-O", format];
  const argv = ["qemu-img", "convert", "-n", ...share, ...fresh, ...formats, from.path, path];
  const done = await ctx.exec(argv, { timeout: IMAGE_TIMEOUT, signal: ctx.signal });
  if (done.exitCode !== 0) throw programError("qemu-img convert", done);
}

/** A new volume; libvirt refuses a name that is taken. */
function claim(ctx: Context, noted: Work, pool: string, volume: NewVolume) {
  const create = ["vol-create", "--pool", pool, "--file", volumeXml(volume)];
  return noted.makes({ kind: "volume", pool, name: volume.name }, () => ctx.virsh(create));
}

/** Between steps: a caller who has gone wants none of it. */
function stillWanted({ signal }: Context) {
  if (signal.aborted) throw new HyperError("cancelled", "the caller went away");
}

/** The firmware's variables; where the source has not started yet, libvirt makes them from the template. */
async function copyNvram(
  ctx: Context,
  noted: Work,
  doc: XmlDocument,
  source: string,
  target: string,
) {
  const nvram = nvramFile(doc);
  if (!nvram) return;
  const { path } = nvram;
  const copy = siblingPath(path, source, target);
  nvram.set(copy);
  if ((await ctx.exec(["test", "-e", path])).exitCode !== 0) return;
  if ((await ctx.exec(["test", "-e", copy])).exitCode === 0) {
    throw new HyperError("already_exists", `the NVRAM file ${copy} exists already`);
  }
  await noted.makes({ kind: "file", path: copy }, async () => {
    const done = await ctx.exec(["cp", "--preserve=mode,ownership", "--", path, copy]);
    if (done.exitCode !== 0) throw programError("cp", done);
  });
}

function pointDisk(doc: XmlDocument, { span, from, pool, name, path, format }: Plan) {
  const [place] = descend([span], ["source"]);
  const [driver] = descend([span], ["driver"]);
  if (place?.attributes.volume) {
    doc.setAttribute(place, "pool", pool);
    doc.setAttribute(place, "volume", name);
  } else if (place) {
    const [key, other] = isDevice(path) ? ["dev", "file"] : ["file", "dev"];
    doc.setAttribute(span, "type", key === "dev" ? "block" : "file");
    doc.setAttribute(place, key, path);
    doc.setAttribute(place, other, undefined);
  }
  if (driver && format !== from.format) doc.setAttribute(driver, "type", format);
  for (const chain of descend([span], ["backingStore"])) doc.remove(chain); // libvirt finds out what is below
}
