/** A domain as the inventory names it: `host/name`. */
import * as z from "zod";
import type { Context } from "../hypervisor/context.ts";
import { Hosted, nameOf } from "./targets.ts";

export const VmPath = Hosted.describe("`host/name`; a name alone is of the call's hypervisor");

/** The context of its hypervisor, and its name. Throws `forbidden` and `invalid_input`. */
export function atPath(ctx: Context, path: string): { ctx: Context; name: string; path: string } {
  const host = path.includes("/") ? path.slice(0, path.indexOf("/")) : ctx.host;
  const name = nameOf(path);
  return { ctx: ctx.forHost(host), name, path: `${host}/${name}` };
}

/** The answer of what is done to one. */
export const VmDone = z.object({
  success: z.literal(true),
  message: z.string(),
  path: z.string(),
  timestamp: z.iso.datetime(),
});
