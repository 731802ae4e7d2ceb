/** The bridge that libvirt makes for a network. */
import type * as z from "zod";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { recentLibvirtVersion } from "../host.ts";
import { pathExists, runProgram } from "../program.ts";
import type { Network } from "./network.ts";

/** With these libvirt makes the bridge; with others it uses what is there. */
const MAKES_BRIDGE = ["none", "nat", "route", "open"];

/** The first version that is known to take away the interface in whose place it cannot make the bridge. */
const TAKES_INTERFACES_SINCE = 11;

/** Whether starting a network can cost the hypervisor an interface; libvirt 9.0 leaves it alone. */
export async function mayTakeInterfaces(ctx: Pick<Context, "uri" | "host" | "virsh">) {
  if (ctx.uri.startsWith("test:")) return false; // the test driver has no interfaces
  const [major = Number.POSITIVE_INFINITY] = await recentLibvirtVersion(ctx);
  return major >= TAKES_INTERFACES_SINCE;
}

/**
 * Throws `already_exists` where the network's bridge cannot be made because the hypervisor has an interface of that
 * name. A bridge without ports is let pass: it may be left from a libvirtd that was killed, and libvirt makes it anew.
 */
export async function assertBridgeIsFree(
  ctx: Pick<Context, "exec">,
  {
    name,
    active,
    bridge,
    forward,
  }: Pick<z.input<typeof Network>, "name" | "active" | "bridge" | "forward">,
) {
  if (active || bridge === null || !MAKES_BRIDGE.includes(forward)) return;
  const folder = `/sys/class/net/${bridge}`;
  if (!(await pathExists(ctx, folder))) return;
  if (await pathExists(ctx, `${folder}/bridge`)) {
    const ports = await runProgram(ctx, ["ls", "-A", "--", `${folder}/brif`]);
    if (ports.stdout === "") return;
  }
  const text = `network ${name} cannot make its bridge ${bridge}: the hypervisor has an interface of that name`;
  throw new HyperError("already_exists", text);
}
