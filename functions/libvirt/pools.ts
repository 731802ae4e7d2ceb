/** GET /libvirt/pools: all storage pools of the hypervisor, running or not. */
import * as z from "zod";
import { plural } from "#runtime/core/plural.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { Pool, readPools } from "#runtime/libvirt/storage/pools.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List storage pools",
  input: z.strictObject({}),
  output: z.object({ pools: z.array(Pool), total: z.int() }),
  message: ({ total }) => plural(total, "pool"),

  async run(_input, ctx) {
    const pools = await readPools(ctx);
    return { pools, total: pools.length };
  },
});
