/** GET /hosts: every configured hypervisor, with its state, latency, versions and what its login can do. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { onEach } from "#runtime/http/fleet.ts";
import type { Context } from "#runtime/hypervisor/context.ts";
import { Reached, reach } from "#runtime/libvirt/host.ts";
import { Login, loginOf } from "#runtime/libvirt/login.ts";

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
        /** What its login can and cannot do beside virsh; null when unknown. */
        login: Login.nullable(),
        /** Why that is unknown. */
        login_error: z.string().nullable(),
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
        const login = reachable
          ? await tryLogin(hostCtx)
          : { ...UNKNOWN, login_error: reached.error };
        return { ...reached, ...(reachable ? up(took) : DOWN), ...login };
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
const UNKNOWN = { login: null, login_error: null };
const tryLogin = (ctx: Context) =>
  loginOf(ctx).then(
    (login) => ({ login, login_error: null }),
    (error: Error) => ({ login: null, login_error: error.message }),
  );
const DOWN = { state: "down" as const, latency_ms: null };
