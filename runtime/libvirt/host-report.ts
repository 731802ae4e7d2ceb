/** What is told of a hypervisor: whether it answers, how soon, its versions, and what its login can do. */
import * as z from "zod";
import type { Context } from "../hypervisor/context.ts";
import { Reached, reach } from "./host.ts";
import { Login, loginOf } from "./login.ts";

export const HostReport = Reached.omit({ reachable: true }).extend({
  state: z.enum(["up", "down"]),
  /** Of one round trip to its libvirt; null when it is down. */
  latency_ms: z.number().nullable(),
  /** What its login can and cannot do beside virsh; null when unknown. */
  login: Login.nullable(),
  /** Why that is unknown. */
  login_error: z.string().nullable(),
});

export async function reportHost(
  ctx: Context,
  readLogin: (ctx: Context) => Promise<z.output<typeof Login>> = loginOf,
): Promise<z.output<typeof HostReport>> {
  await ctx.virsh(["uri"]).catch(() => {}); // opens the connection, which does not count as latency
  const began = performance.now();
  const { reachable, ...reached } = await reach(ctx);
  const took = Math.round((performance.now() - began) * 100) / 100;
  if (!reachable)
    return { ...reached, state: "down", latency_ms: null, login: null, login_error: reached.error };
  const login = await readLogin(ctx).then(
    (login) => ({ login, login_error: null }),
    (error: Error) => ({ login: null, login_error: error.message }),
  );
  return { ...reached, state: "up", latency_ms: took, ...login };
}
