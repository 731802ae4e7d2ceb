/** What the source does once the domain is whole on the other side; a failure is told, and takes nothing back. */
import { HyperError } from "../../core/errors.ts";
import { isHandedOver, stateAndReason } from "../arrival.ts";
import type { Sides } from "./sides.ts";
import { readStateLeft } from "./state-left.ts";
import type { MigrateWish } from "./wish.ts";

/** What goes with a definition. One that has saved memory by now does not go. */
export const UNDEFINE = ["--snapshots-metadata", "--checkpoints-metadata"];

export interface Released {
  warnings: string[];
  /** Files beside its disks that stay on the source. */
  files: string[];
  /** The source has the domain no more. */
  isGone: boolean;
}

type Told = (what: string) => (error: HyperError) => false;

export async function releaseSource(sides: Sides, wish: MigrateWish): Promise<Released> {
  const { source, target, name, uuid, autostart, persistent } = sides;
  const warnings: string[] = [];
  const told: Told = (what) => (error) => {
    warnings.push(`${what}: ${error.message}`);
    return false;
  };
  const stillHas = told(`${source.host} still has the domain, too`);
  const isFree = !wish.live || (await endThere(sides).catch(stillHas));
  if (!persistent) return { warnings, files: [], isGone: isFree }; // it has gone by itself
  let [isGone, files]: [boolean, string[]] = [false, []];
  if (!wish.undefine_source) {
    const text = `domain ${name} is defined on ${source.host} and on ${target.host}; start it on one of the two only`;
    warnings.push(text);
  } else if (isFree) {
    const left = await readStateLeft(sides);
    const words = ["undefine", "--domain", uuid, ...UNDEFINE, ...left.flags];
    isGone = await source.virsh(words).then(() => true, stillHas);
    if (isGone) files = left.files;
  }
  if (autostart) warnings.push(...(await moveAutostart(sides, wish, isGone)));
  return { warnings, files, isGone };
}

/**
 * Where the word that the guest has arrived was lost, the source's QEMU stays, paused; if that went on, there would be
 * two guests. Memory that the other side fetches by and by is not taken away.
 */
async function endThere({ source, target, uuid }: Sides): Promise<true> {
  const here = await stateAndReason(source, uuid);
  if (here === undefined || !isHandedOver(here)) return true;
  const there = await stateAndReason(target, uuid);
  if (there === undefined || there.includes("post-copy"))
    throw new HyperError("in_use", `it is ${here} there, and ${there ?? "gone"} on ${target.host}`);
  source.log.warn(`The guest's QEMU on ${source.host} was left ${here}, and is ended.`);
  await source.virsh(["destroy", "--domain", uuid]);
  return true;
}

/** Only one of the two may start it by itself. Resolves to warnings. */
async function moveAutostart(
  { source, target, uuid }: Sides,
  { live, persistent: isStored }: MigrateWish,
  isGone: boolean,
): Promise<string[]> {
  const warnings: string[] = [];
  const told = (what: string) => (error: HyperError) =>
    void warnings.push(`${what}: ${error.message}`);
  if (!isGone)
    await source
      .virsh(["autostart", "--domain", uuid, "--disable"])
      .then(() => void warnings.push(`it starts with ${source.host} no more`))
      .catch(told(`it still starts with ${source.host}`));
  if (isStored || !live)
    await target
      .virsh(["autostart", "--domain", uuid])
      .catch(told(`it does not start with ${target.host}`));
  return warnings;
}
