/** GET /libvirt/pool/watch?pool=: the storage pools of a hypervisor, and the volumes of one of them, as they change. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { LivePools, watchPools } from "#runtime/libvirt/live/pools.ts";
import { PoolName } from "#runtime/libvirt/names.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Follow the storage pools as they change",
  stream: "sse",
  input: z.strictObject({ pool: PoolName.optional().describe("its volumes are told, too") }),
  output: LivePools,
  message: null,
  examples: [{ pool: "default" }],

  async run({ pool }, { host, signal }) {
    return watchPools(host, pool, signal);
  },
});
