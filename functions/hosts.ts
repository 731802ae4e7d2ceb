/** GET /hosts: every configured hypervisor, with its state, latency and versions. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { onEach } from "#runtime/http/fleet.ts";
import { Reached, reach } from "#runtime/libvirt/host.ts";

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List the hypervisors",
  scope: "server",
  input: z.strictObject({}),
  output: z.object({
    hosts: z.array(
      Reached.omit({ reachable: true }).extend({
        state: z.enum(["up", "down"]),
        /** Of one round trip to its libvirt; null when it is down. */
        latency_ms: z.number().nullable(),
      }),
    ),
    total: z.int(),
  }),
  message: ({ hosts, total }) =>
    `${hosts.filter(({ state }) => state === "up").length} of ${total} hypervisors are up`,

  async run(_input, ctx) {
    const answers = await onEach(
      ctx.hosts,
      async (host) => {
        const hostCtx = ctx.forHost(host);
        await hostCtx.virsh(["uri"]).catch(() => {}); // opens the connection, which does not count as latency
        const began = performance.now();
        const { reachable, ...reached } = await reach(hostCtx);
        const took = Math.round((performance.now() - began) * 100) / 100;
        return { ...reached, ...(reachable ? up(took) : DOWN) };
      },
      ctx.log,
    );
    const hosts = answers.hosts.flatMap((answer) =>
      answer.status === "success" ? [answer.data] : [],
    );
    return { hosts, total: hosts.length };
  },
});

const up = (latency_ms: number) => ({ state: "up" as const, latency_ms });
const DOWN = { state: "down" as const, latency_ms: null };
