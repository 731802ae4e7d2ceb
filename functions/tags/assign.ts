/** POST /tags/assign: give tags to domains, in libvirt's metadata. */
import { BatchResult, batch } from "#runtime/function/batch.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { targeted } from "#runtime/function/targets.ts";
import { inTurn } from "#runtime/libvirt/domain/turn.ts";
import { changeTags, Tags, withTags } from "#runtime/libvirt/inventory/tags.ts";

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Give tags to domains",
  input: targeted({ tags: Tags }),
  output: BatchResult,
  message: null,
  examples: [
    { domains: ["web1", "web2"], tags: ["prod", "team:web"] },
    { domains: ["kvm2/web3"], tags: ["prod"] },
  ],

  async run({ domains, select, tags }, ctx) {
    const change = withTags(tags);
    return batch(ctx, "assign", { domains, select }, (ctx) => async (domain) => ({
      tags: await inTurn(ctx, domain, (uuid, dominfo) => changeTags(ctx, uuid, dominfo, change)),
    }));
  },
});
