/** Whether a display can be opened now: by opening it. */
import type { Context } from "../hypervisor/context.ts";
import type { Display } from "./devices.ts";

const CONNECT_MS = 2000;

/** Null when it can, else why not. */
export async function probe(ctx: Context, { type, target }: Display): Promise<string | null> {
  if (type !== "vnc") return `${type} cannot be shown here, only vnc`;
  if (!target) return "it does not listen";
  try {
    const stream = await ctx.openStream(target, { timeout: CONNECT_MS, signal: ctx.signal });
    stream.destroy();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
