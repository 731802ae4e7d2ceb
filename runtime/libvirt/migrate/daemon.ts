/** The two libvirtd as a virsh of this machine reaches them: over sockets that lead there by our own connections. */
import type { Duplex } from "node:stream";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { type Forward, forwardSocket } from "../../hypervisor/forward.ts";

/** libvirtd's, or virtproxyd's in its place; virtqemud's where there is neither. */
const SOCKETS = ["/run/libvirt/libvirt-sock", "/run/libvirt/virtqemud-sock"];
const CONNECT_TIMEOUT_MS = 10_000;

/** Connects to the libvirtd of a hypervisor. Throws `unsupported` for one that has no socket that is known. */
export async function connectDaemon(ctx: Context): Promise<Duplex> {
  const { pathname, searchParams } = new URL(ctx.uri);
  const named = searchParams.get("socket");
  if (pathname !== "/system") {
    const text = `hypervisor ${ctx.host}: only the libvirtd of the system takes running guests`;
    throw new HyperError("unsupported", text);
  }
  let failure: unknown;
  for (const path of named ? [named] : SOCKETS) {
    try {
      return await ctx.openStream({ path }, { timeout: CONNECT_TIMEOUT_MS });
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

export interface Daemon {
  uri: string;
  forward: Forward;
}

export async function forwardDaemon(ctx: Context): Promise<Daemon> {
  const forward = await forwardSocket(() => connectDaemon(ctx));
  return { uri: `qemu+unix:///system?socket=${encodeURIComponent(forward.path)}`, forward };
}
