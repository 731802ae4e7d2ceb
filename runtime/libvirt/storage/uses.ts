/** The disks of all domains: what each uses of the storage. */
import { HyperError } from "../../core/errors.ts";
import { memoizePerObject } from "../../core/memoize.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDefinitionFiles } from "../definition-files.ts";
import { type Definition, forgetOthers } from "../definition-memory.ts";
import { readChanged } from "../definitions.ts";
import { type Disk, readDisks } from "../disk.ts";
import { lines } from "../virsh-output.ts";
import { type Element, parseXml, textOf } from "../xml.ts";

/** A disk of a domain, or an image below one. */
export interface Use {
  domain: string;
  /** The running domain has it; false also for a disk that a running domain gets at its next start. */
  running: boolean;
  /** The disk's target, such as `vda`. */
  target: string;
  /** It is a backing file of the domain's disk, not the disk itself. */
  below: boolean;
  /** It is read-only, meant for several domains, or a CD-ROM. */
  shared: boolean;
  /** The domain can write to it, unlike to a CD-ROM or a read-only disk. */
  writes: boolean;
  /** Empty where the definition names a volume of a pool instead. */
  path: string;
  format: string | undefined;
  pool: string | undefined;
  volume: string | undefined;
}

/**
 * Reads both definitions of a running domain: the live one names its backing files, the stored one has the disks
 * of the next start.
 */
export async function readUses(ctx: Context): Promise<Use[]> {
  const [all = "", active = ""] = await ctx.virsh.all([
    ["list", "--all", "--uuid"],
    ["list", "--uuid"],
  ]);
  const [ids, running] = [lines(all), lines(active)];
  forgetOthers(ctx, ids);
  const files = readDefinitionFiles(ctx);
  const definitions = await Promise.all([
    readChanged(ctx, ids, undefined, files),
    readChanged(ctx, running, "--inactive", files),
  ]);
  const isRunning = new Set(running);
  const uses = new Map<string, Use>();
  definitions.flat().forEach((read, i) => {
    if (read instanceof HyperError && read.code === "not_found") return; // it has gone meanwhile
    if (read instanceof HyperError) throw read;
    for (const disk of disksIn(read)) {
      const use = { ...disk, running: isRunning.has(ids[i] ?? "") };
      const key = JSON.stringify([use.domain, use.target, use.path, use.pool, use.volume]);
      if (!uses.has(key)) uses.set(key, use);
    }
  });
  return [...uses.values()];
}

const disksIn = memoizePerObject(({ text }: Definition) =>
  disksOf(parseXml(text, "domain"), false),
);

/** The disks of a definition, and the backing files of each as far as the definition names them. */
export function disksOf(domain: Element, running: boolean): Use[] {
  const name = textOf(domain, "name") ?? "";
  return readDisks(domain).flatMap((disk) =>
    [disk, ...disk.backingChain].map(({ path = "", format, pool, volume }, depth) => ({
      ...{ domain: name, running, target: disk.target, below: depth > 0, shared: isShared(disk) },
      writes: depth === 0 && !disk.readonly && disk.device !== "cdrom",
      ...{ path, format, pool, volume },
    })),
  );
}

const isShared = ({ readonly, shareable, device }: Disk) =>
  readonly || shareable || !/^(disk|lun|floppy)$/.test(device);
