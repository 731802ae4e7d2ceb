/** Deleting the snapshots of a domain, which itself stays as it is. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { IMAGE_TIMEOUT_MS } from "../../storage/volume.ts";
import { lines } from "../../virsh-output.ts";
import { children, parseXml } from "../../xml.ts";
import { whileBlockJobs } from "../job-progress.ts";
import { assertChainNotShared } from "./guards.ts";
import { explainJobName } from "./job-name.ts";

/** In a process of its own: merging an overlay can take as long as copying it. */
export async function deleteSnapshot(
  ctx: Context,
  domain: string,
  name: string,
  { children = false } = {},
) {
  const command = ["snapshot-delete", "--domain", domain, "--snapshotname", name];
  const options = children ? ["--children"] : [];
  const remove = () => ctx.virsh.oneShot([...command, ...options], { timeout: IMAGE_TIMEOUT_MS });
  const [phase, disks] = [`deleting snapshot ${name}`, await overlaidDisks(ctx, domain, name)];
  const merged = disks.length > 0 ? `; disks ${disks.join(", ")} are merged` : "";
  ctx.log.info(`Snapshot ${name} of domain ${domain} is deleted${merged}.`);
  await whileBlockJobs(ctx, { domain, disks, phase }, remove).catch(explainJobName);
}

/** The disks of which an external snapshot made overlays; none of an internal one, which blocks the monitor. */
async function overlaidDisks(ctx: Context, domain: string, name: string): Promise<string[]> {
  const read = ["snapshot-dumpxml", "--domain", domain, "--snapshotname", name];
  const [definition] = await ctx.virsh.settled([read]);
  if (typeof definition !== "string" || definition === "") return []; // the deletion tells why
  return children(parseXml(definition, "domainsnapshot"), "disks", "disk")
    .filter((disk) => disk["@snapshot"] === "external")
    .map((disk) => `${disk["@name"]}`);
}

/** Children before their parents. Throws `in_use`, before anything, when images of others stand on the chain. */
export async function deleteAllSnapshots(ctx: Context, domain: string) {
  await assertChainNotShared(ctx, domain);
  const list = await ctx.virsh(["snapshot-list", "--domain", domain, "--name", "--topological"]);
  const names = lines(list);
  const deleted: string[] = [];
  for (const name of names.toReversed()) {
    await deleteSnapshot(ctx, domain, name).catch((error: HyperError) => {
      const left = names.filter((candidate) => !deleted.includes(candidate)).toReversed();
      throw new HyperError(error.code, `${error.message}; snapshots left: ${left.join(", ")}`);
    });
    deleted.push(name);
  }
  return { snapshots_deleted: deleted };
}
