/** The definitions of all domains, as they run and at their next start, for what no two domains may have. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readDefinitionFiles } from "../definition-files.ts";
import type { Definition } from "../definition-memory.ts";
import { readChanged } from "../definitions.ts";
import { lines } from "../virsh-output.ts";

/** Throws for a definition that cannot be read. */
export async function readEvery(ctx: Context): Promise<Definition[]> {
  const [all = "", active = ""] = await ctx.virsh.all([
    ["list", "--all", "--uuid"],
    ["list", "--uuid"],
  ]);
  const files = readDefinitionFiles(ctx);
  const definitions = await Promise.all([
    readChanged(ctx, lines(all), undefined, files),
    readChanged(ctx, lines(active), "--inactive", files),
  ]);
  return definitions.flat().flatMap((read) => {
    if (!(read instanceof HyperError)) return read;
    if (read.code === "not_found") return []; // it has gone meanwhile
    throw read;
  });
}
