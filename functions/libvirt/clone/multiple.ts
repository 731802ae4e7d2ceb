/** POST /libvirt/clone/multiple: make many domains, `<prefix>-<index>`, from one that is off or paused. */
import * as z from "zod";
import { type ErrorCode, HyperError, isLost } from "#runtime/core/errors.ts";
import { BatchResult, batchNames } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { cloneDomain } from "#runtime/libvirt/clone/clone.ts";
import { domainRef } from "#runtime/libvirt/domain/domain.ts";
import { DomainName, Name } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Clone a domain many times",
  job: { repeat: true, reads: ["source"] },
  input: z.strictObject({
    source: DomainName,
    name_prefix: Name.describe("a dash and the number follow it"),
    count: z.int().min(1).max(1000).describe("how many"),
    start_index: z.int().min(0).max(1_000_000).default(1).describe("the first one's number"),
    linked: z.boolean().default(false).describe("overlays on the source's disks instead of copies"),
  }),
  output: BatchResult,
  message: null,
  examples: [{ source: "web-template", name_prefix: "vm-web", count: 5, start_index: 1 }],

  async run({ source, name_prefix, count, start_index, linked }, ctx) {
    await ctx.virsh(["domstate", "--domain", await domainRef(ctx, source)]); // a missing source is a 404
    const names = Array.from({ length: count }, (_, i) => `${name_prefix}-${start_index + i}`);
    const answer = await batchNames(ctx, "clone", names, async (target, progress) => {
      const { uuid, disks } = await cloneDomain(ctx, { source, target, linked }, { progress });
      return { uuid, disks: disks.map(({ path }) => path) };
    });
    if (ctx.job) throwIfLost(answer);
    return answer;
  },
});

/** A job whose hypervisor was lost is done again as a whole, as after a crash. */
function throwIfLost({ results, successful, total }: z.input<typeof BatchResult>) {
  const lost = results.find(({ code }) => isLost(code));
  if (!lost) return;
  const text = `clone: ${successful} of ${total} were done; ${lost.domain}: ${lost.error}`;
  throw new HyperError(lost.code as ErrorCode, text, { details: { results } });
}
