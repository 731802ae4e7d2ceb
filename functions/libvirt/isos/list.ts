/** GET /libvirt/isos/list: the ISO images of all active pools, each with the domains that use it. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { PoolName } from "#runtime/libvirt/names.ts";
import { asIso, Iso, isIso } from "#runtime/libvirt/storage/iso.ts";
import { readStorage } from "#runtime/libvirt/storage/usage.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List ISO images",
  input: z.strictObject({ pool: PoolName.optional().describe("all active pools unless given") }),
  output: z.object({
    isos: z.array(
      Iso.extend({ used_by: z.array(z.string()).describe("the domains in whose drives it is") }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => plural(total, "ISO image"),
  examples: [{ pool: "default" }],

  async run({ pool }, ctx) {
    if (pool !== undefined) await ctx.virsh(["pool-info", "--pool", pool]); // throws for one that is not there
    const { images, disksUsing } = await readStorage(ctx);
    const own = images.filter((image) => isIso(image) && (pool ?? image.pool) === image.pool);
    const isos = own.map((image) => ({
      ...asIso(image),
      used_by: [...new Set(disksUsing(image).map(({ domain }) => domain))].sort(),
    }));
    return { isos, total: isos.length };
  },
});
