/** Deleting the snapshots of a domain, which itself stays as it is. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { IMAGE_TIMEOUT_MS } from "../../storage/volume.ts";
import { lines } from "../../virsh-output.ts";
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
  await ctx.virsh
    .oneShot([...command, ...options], { timeout: IMAGE_TIMEOUT_MS })
    .catch(explainJobName);
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
