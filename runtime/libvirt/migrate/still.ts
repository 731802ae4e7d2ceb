/** Whether what is copied off a domain that is off was written to meanwhile: a copy of it may be torn then. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";
import { type DiskImage, isDevice } from "../storage/locate.ts";
import { parseXml, textOf } from "../xml.ts";
import type { DiskPlan } from "./disks.ts";
import type { Sides } from "./sides.ts";

/** When a file was last written; of a block device, how much was ever written to it. */
const MARK = `if [ -b "$1" ]; then
  set -- $(stat -Lc '0x%t 0x%T' -- "$1")
  read -r _ _ _ _ writes _ sectors _ <"/sys/dev/block/$(printf '%d:%d' "$1" "$2")/stat"
  echo "$writes $sectors"
else stat -Lc '%y %s' -- "$1"; fi`;

/** Resolves to a check at the end. It throws `in_use` for a domain that was started, or a disk that was written to. */
export async function watchStill(sides: Sides, { copies }: DiskPlan) {
  const { source } = sides;
  const read = () => Promise.all(copies.map(({ image }) => markOf(source, image)));
  const before = await read();
  await assertStillOff(sides);
  return async () => {
    await assertStillOff(sides);
    const after = await read();
    const [changed] = copies.filter((_, i) => before[i] !== after[i]);
    if (!changed) return;
    const text = `disk ${changed.target}: ${changed.image.path} was written to while it was copied`;
    throw new HyperError("in_use", text);
  };
}

async function markOf(ctx: Context, { path, volume }: DiskImage): Promise<string> {
  if (!volume || isDevice(path))
    return (await runProgram(ctx, ["sh", "-c", MARK, "sh", path], {}, "stat")).stdout.trim();
  const { pool, name } = volume;
  const element = parseXml(
    await ctx.virsh(["vol-dumpxml", "--pool", pool, "--vol", name]),
    "volume",
  );
  const mtime = textOf(element, "target", "timestamps", "mtime");
  return `${mtime} ${textOf(element, "physical")}`;
}

/** What a domain has written meanwhile is not in the copy. */
async function assertStillOff({ source, uuid, name }: Sides) {
  const state = (await source.virsh(["domstate", "--domain", uuid])).trim();
  if (state === "shut off") return;
  throw new HyperError("in_use", `name: domain ${name} was started while it was copied`);
}
