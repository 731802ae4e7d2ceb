/** POST /libvirt/snapshot/revert: put a domain back to its state when a snapshot was taken. */
import * as z from "zod";
import type { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { assertNoOverlays } from "#runtime/libvirt/domain/snapshot/guards.ts";
import { revertOverlays } from "#runtime/libvirt/domain/snapshot/revert.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";
import { assertNotBackingFile } from "#runtime/libvirt/storage/backing.ts";
import { IMAGE_TIMEOUT_MS } from "#runtime/libvirt/storage/volume.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Revert a domain to a snapshot",
  input: z.strictObject({
    domain_name: DomainName,
    snapshot_name: Name.describe("name of the snapshot"),
    state: z
      .enum(["running", "paused"])
      .optional()
      .describe("start it afterwards; otherwise it gets the state of the snapshot"),
  }),
  output: z.object({ domain_name: z.string(), snapshot_name: z.string(), state: z.string() }),
  message: ({ domain_name, snapshot_name }) => `Domain ${domain_name} reverted to ${snapshot_name}`,
  examples: [{ domain_name: "my-vm", snapshot_name: "before-upgrade" }],

  async run({ domain_name, snapshot_name, state }, ctx) {
    const domain = await domainRef(ctx, domain_name);
    await assertNotBackingFile(ctx, domain, domain_name);
    await assertNoOverlays(ctx, domain, snapshot_name);
    const options = state ? [`--${state}`] : [];
    const command = ["snapshot-revert", "--domain", domain, "--snapshotname", snapshot_name];
    await ctx.virsh
      .oneShot([...command, ...options], { timeout: IMAGE_TIMEOUT_MS })
      .catch(async (error: HyperError) => {
        if (error.code !== "unsupported") throw error;
        // libvirt before 9.9 cannot revert to a snapshot whose disks are overlay files
        await revertOverlays(ctx, domain, snapshot_name, error);
        const paused = state === "paused" ? ["--paused"] : [];
        if (state) await ctx.virsh(["start", "--domain", domain, ...paused]);
      });
    const present = await ctx.virsh(["domstate", "--domain", domain]);
    return { domain_name, snapshot_name, state: present.trim() };
  },
});
