/** The bridge that libvirt makes for a network. */
import type * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { pathExists } from "../program.ts";
import type { Network } from "./network.ts";

/** With these libvirt makes the bridge; with others it uses what is there. */
const MAKES_BRIDGE = ["none", "nat", "route", "open"];

/**
 * Throws `already_exists` where the network's bridge cannot be made because the hypervisor has an interface of that
 * name. libvirt 11.3, unlike 9.0, takes that interface away when it has failed to make the bridge, `lo` as well.
 */
export async function assertBridgeIsFree(
  ctx: Pick<Context, "uri" | "exec">,
  {
    name,
    active,
    bridge,
    forward,
  }: Pick<z.input<typeof Network>, "name" | "active" | "bridge" | "forward">,
) {
  if (active || bridge === null || !MAKES_BRIDGE.includes(forward)) return;
  if (ctx.uri.startsWith("test:")) return; // its networks have no interfaces
  if (!(await pathExists(ctx, `/sys/class/net/${bridge}`))) return;
  const text = `network ${name} cannot make its bridge ${bridge}: the hypervisor has an interface of that name`;
  throw new HyperError("already_exists", text);
}
