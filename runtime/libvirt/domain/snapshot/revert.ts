/** Reverting a domain to a snapshot, and what its state is when that fails. */
import { HyperError } from "../../../core/errors.ts";
import type { Context } from "../../../hypervisor/context.ts";
import { readLibvirtVersion } from "../../host.ts";
import { IMAGE_TIMEOUT_MS } from "../../storage/volume.ts";
import { revertOverlays } from "./revert-overlays.ts";

/** Resolves to the domain's state. Without `state` it gets that of the snapshot. */
export async function revertToSnapshot(
  ctx: Context,
  domain: string,
  name: string,
  state?: "running" | "paused",
): Promise<string> {
  const before = await readState(ctx, domain);
  try {
    await revert(ctx, domain, name, state);
  } catch (error) {
    throw await withState(ctx, domain, before, error);
  }
  return readState(ctx, domain);
}

async function revert(ctx: Context, domain: string, name: string, state?: "running" | "paused") {
  const command = ["snapshot-revert", "--domain", domain, "--snapshotname", name];
  const options = state ? [`--${state}`] : [];
  ctx.log.info(`Domain ${domain} is reverted to snapshot ${name}.`);
  ctx.progress({ phase: "reverting", percent: null }); // libvirt and QEMU tell nothing of it
  try {
    await ctx.virsh.oneShot([...command, ...options], { timeout: IMAGE_TIMEOUT_MS });
  } catch (error) {
    if (!(error instanceof HyperError) || !(await needsOverlayRevert(ctx, error))) throw error;
    await revertOverlays(ctx, domain, name, error);
    const paused = state === "paused" ? ["--paused"] : [];
    if (state) await ctx.virsh(["start", "--domain", domain, ...paused]);
  }
}

/**
 * Whether this is libvirt before 9.9, which reverts to no snapshot whose disks are overlay files. Newer ones say
 * "unsupported" for reasons of their own, after they have stopped the domain.
 */
async function needsOverlayRevert(ctx: Context, { code, message }: HyperError): Promise<boolean> {
  if (/revert to external (disk )?snapshot not supported yet/.test(message)) return true;
  // libvirtd says that in the language of its machine, which has no code of ours
  if (code !== "virsh_failed") return false;
  const version: number[] = await readLibvirtVersion(ctx).catch(() => []);
  const [major = Number.POSITIVE_INFINITY, minor = 0] = version;
  return major < 9 || (major === 9 && minor < 9);
}

async function readState({ virsh }: Context, domain: string): Promise<string> {
  return (await virsh(["domstate", "--domain", domain])).trim();
}

/** The same error, with the domain's state where the attempt has changed it. */
async function withState(ctx: Context, domain: string, before: string, error: unknown) {
  if (!(error instanceof HyperError)) return error;
  const now = await readState(ctx, domain).catch(() => "unknown");
  if (now === before) return error;
  const text = `${error.message}; the state of the domain was ${before}, and is ${now} now`;
  return new HyperError(error.code, text, { cause: error, details: error.details });
}
