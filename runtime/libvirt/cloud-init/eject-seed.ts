/** The seed is taken out of its drive and deleted, once the guest has read it: it may hold secrets. */
import type { Context } from "../../hypervisor/context.ts";
import { readAnswering } from "../definitions.ts";
import { parseXml } from "../xml.ts";
import { NAMESPACE, readSeedMark, seedDrives } from "./attach-seed.ts";

/** False for a domain without a seed of its own. */
export async function ejectSeed(ctx: Context, domain: string): Promise<boolean> {
  const definition = parseXml(await readAnswering(ctx, domain), "domain");
  const seed = readSeedMark(definition);
  if (!seed) return false;
  for (const { target } of seedDrives(definition, seed)) {
    const eject = ["change-media", "--domain", domain, "--path", target, "--eject"];
    const scope = ["--live", "--config"];
    // a guest that has mounted it has locked the drive
    const [outcome] = await ctx.virsh.settled([[...eject, ...scope]]);
    if (typeof outcome !== "string") await ctx.virsh([...eject, ...scope, "--force"]);
  }
  await ctx.virsh(["vol-delete", "--pool", seed.pool, "--vol", seed.volume]);
  const mark = ["metadata", "--domain", domain, "--uri", NAMESPACE, "--remove"];
  await ctx.virsh([...mark, "--live", "--config"]);
  return true;
}
