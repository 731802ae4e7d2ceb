/** POST /tags/remove: take tags from domains. */
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { changeTags, Tags, withoutTags } from "#runtime/libvirt/inventory/tags.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Take tags from domains",
  input: targeted({ tags: Tags }),
  output: BatchResult,
  message: null,
  examples: [{ select: "tag:staging", tags: ["staging"] }],

  async run({ domains, select, tags }, ctx) {
    const change = withoutTags(tags);
    return batch(ctx, "remove", { domains, select }, (ctx) => async (domain) => ({
      tags: await inTurn(ctx, domain, (uuid, dominfo) => changeTags(ctx, uuid, dominfo, change)),
    }));
  },
});
