/** Taking a snapshot of a domain. */
import type { Context } from "../../../hypervisor/context.ts";
import { IMAGE_TIMEOUT_MS } from "../../storage/volume.ts";

export interface SnapshotRequest {
  name: string;
  description?: string | undefined;
  disk_only: boolean;
  atomic: boolean;
}

/** In a process of its own: writing the memory of a large guest takes long. */
export async function takeSnapshot(
  ctx: Context,
  domain: string,
  { name, description, disk_only, atomic }: SnapshotRequest,
) {
  const options = [
    ...(description ? ["--description", description] : []),
    ...(disk_only ? ["--disk-only"] : []),
    ...(atomic ? ["--atomic"] : []),
  ];
  const command = ["snapshot-create-as", "--domain", domain, "--name", name, ...options];
  await ctx.virsh.oneShot(command, { timeout: IMAGE_TIMEOUT_MS });
}
