/** A domain that is to be running. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { readKnown } from "../definitions.ts";
import { domainRef } from "./domain.ts";

/** What is known of it without QEMU, and the words for `--domain`. Throws `not_found`, and `not_active` for one that is off. */
export async function readRunning(ctx: Context, name: string) {
  const ref = await domainRef(ctx, name);
  const [state, known] = await Promise.all([
    ctx.virsh(["domstate", "--domain", ref]),
    readKnown(ctx, ref),
  ]);
  if (state.trim() === "shut off")
    throw new HyperError("not_active", `domain ${name} is not running`);
  return { ref, ...known };
}
