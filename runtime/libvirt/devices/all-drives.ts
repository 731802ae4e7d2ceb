/** All CD-ROM drives of a domain at once: their media, or themselves. Where one fails, what was done before is said. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { domainState, nameIn } from "../domain/domain.ts";
import { detachDisk } from "./detach.ts";
import { ejectMedium } from "./insert.ts";
import { mediumOf, readDrives, targetsWith } from "./media.ts";

/** `uuid` is the domain's, `dominfo` what virsh says of it now. */
export async function ejectAll(ctx: Context, uuid: string, dominfo: string, force: boolean) {
  const drives = await readDrives(ctx, uuid, domainState(dominfo));
  const loaded = new Set(drives.filter(mediumOf).map(({ disk }) => disk.target));
  return each(loaded, "ejected", async (target) => {
    const { previous } = await ejectMedium(ctx, uuid, dominfo, { target, force });
    return { target, path: `${previous}` };
  });
}

/** Throws `not_found` where there is none. */
export async function removeDrives(ctx: Context, uuid: string, dominfo: string) {
  const drives = await readDrives(ctx, uuid, domainState(dominfo));
  const targets = new Set(targetsWith(drives, () => true));
  if (targets.size === 0) {
    const text = `vm_path: domain ${nameIn(dominfo) ?? uuid} has no CD-ROM drive`;
    throw new HyperError("not_found", text);
  }
  return each(targets, "removed", async (target) => {
    const { live } = await detachDisk(ctx, uuid, dominfo, {
      target,
      pool: "default",
      remove: false,
    });
    if (live !== "requested") return target;
    const text = `drive ${target}: the guest was asked to release it and still has it`;
    throw new HyperError("timed_out", text);
  });
}

async function each<T>(
  targets: Iterable<string>,
  what: string,
  work: (target: string) => Promise<T>,
): Promise<T[]> {
  const done: T[] = [];
  for (const target of targets) {
    try {
      done.push(await work(target));
    } catch (error) {
      if (!(error instanceof HyperError) || done.length === 0) throw error;
      const text = `${error.message}; others were ${what} before`;
      throw new HyperError(error.code, text, { cause: error, details: { [what]: done } });
    }
  }
  return done;
}
