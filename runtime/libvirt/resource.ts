/** Resources that an operation makes on a hypervisor, and how they are looked for and removed. */
import * as z from "zod";
import { type ErrorCode, HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { hasArrived, letGoOn } from "./arrival.ts";
import { pathExists, runProgram } from "./program.ts";

const Plain = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("volume"), pool: z.string(), name: z.string() }),
  z.object({ kind: z.literal("domain"), name: z.string() }),
  z.object({ kind: z.literal("file"), path: z.string() }),
  /** With an `id` only the folder that has it: another one may have come to its path. */
  z.object({ kind: z.literal("folder"), path: z.string(), id: z.string().optional() }),
  /** A parent directory that we created; it is removed only if empty, and is no leftover while it is not. */
  z.object({ kind: z.literal("parent"), path: z.string() }),
]);

type Plain = z.output<typeof Plain>;

/** Made for a domain that comes from another hypervisor; it stays once the domain is here, and no longer there. */
const Arriving = z.object({
  kind: z.literal("arriving"),
  from: z.string(),
  uuid: z.string(),
  /** It runs while it comes. */
  live: z.boolean().optional(),
  resource: Plain,
});

export const Resource = z.discriminatedUnion("kind", [...Plain.options, Arriving]);

export type Resource = z.output<typeof Resource>;

/** What a resource is, whoever it is for. */
export const plainOf = (resource: Resource): Plain =>
  resource.kind === "arriving" ? resource.resource : resource;

export function describeResource(given: Resource): string {
  const resource = plainOf(given);
  if (resource.kind === "volume") return `volume ${resource.name} of pool ${resource.pool}`;
  if (resource.kind === "domain") return `domain ${resource.name}`;
  return `${resource.kind === "file" ? "file" : "folder"} ${resource.path}`;
}

export async function resourceExists(ctx: Context, given: Resource): Promise<boolean> {
  const resource = plainOf(given);
  if (resource.kind === "parent") {
    if (!(await pathExists(ctx, resource.path))) return false;
    return (await runProgram(ctx, ["ls", "-A", "--", resource.path])).stdout === "";
  }
  if (resource.kind === "file" || resource.kind === "folder") {
    if (!(await pathExists(ctx, resource.path))) return false;
    const id = resource.kind === "folder" ? resource.id : undefined;
    return id === undefined || id === (await folderId(ctx, resource.path));
  }
  const lookup =
    resource.kind === "volume"
      ? ["vol-path", "--pool", resource.pool, "--vol", resource.name]
      : ["domstate", "--domain", resource.name]; // domuuid finds no domain by its UUID
  const [outcome] = await ctx.virsh.settled([lookup]);
  if (outcome instanceof HyperError && outcome.code !== "not_found") throw outcome;
  return typeof outcome === "string";
}

/** Device and inode, which a folder keeps when it is renamed. */
export async function folderId(ctx: Context, path: string): Promise<string> {
  return (await runProgram(ctx, ["stat", "-c", "%d:%i", "--", path])).stdout.trim();
}

/** After these a removal may succeed later: the hypervisor could not be reached, or was at work on what is to go. */
const LATER: ErrorCode[] = ["unreachable", "busy", "timed_out", "outcome_unknown"];

export const isForLater = (error: unknown) =>
  error instanceof HyperError && LATER.includes(error.code);

/** Files may be put into the folder at any time, so rmdir decides; then it is no failure that the folder stays. */
const REMOVE_EMPTY = ["sh", "-c", 'shift; rmdir -- "$1" || [ -n "$(ls -A -- "$1")" ]', "sh"];

/** Removes a resource that may have been made. Its absence is fine; a failed removal throws. */
export async function removeResource(ctx: Context, resource: Resource) {
  if (resource.kind === "arriving") return removeArriving(ctx, resource);
  if (!(await resourceExists(ctx, resource))) return;
  if (resource.kind === "volume")
    await ctx.virsh(["vol-delete", "--pool", resource.pool, "--vol", resource.name]);
  else if (resource.kind === "domain") {
    const [off] = await ctx.virsh.settled([["destroy", "--domain", resource.name]]);
    if (!(await resourceExists(ctx, resource))) return; // it was transient
    // a failed start can make the NVRAM file
    await ctx.virsh(["undefine", "--domain", resource.name, "--nvram", "--snapshots-metadata"]);
    // one that could not be switched off, as while QEMU hangs, runs on as a domain that is not stored
    if (off instanceof HyperError && (await resourceExists(ctx, resource))) throw off;
  } else {
    const remove = resource.kind === "parent" ? REMOVE_EMPTY : ["rm", "-rf"];
    const { signal } = new AbortController(); // a cancelled call still removes what it has made
    const result = await ctx.exec([...remove, "--", resource.path], { signal });
    if (result.exitCode !== 0) throw new HyperError("command_failed", result.stderr.trim());
  }
}

/** Without its files: on storage that both see they are the source's, and what was copied is noted by itself. */
async function removeCopy({ virsh }: Context, uuid: string) {
  const flags = ["--keep-nvram", "--keep-tpm", "--snapshots-metadata"];
  await virsh.settled([["destroy", "--domain", uuid]]);
  const [outcome] = await virsh.settled([["undefine", "--domain", uuid, ...flags]]);
  if (outcome instanceof HyperError && outcome.code !== "not_found") throw outcome; // it was transient
}

/** Where the domain stays on the other hypervisor, it goes on there. */
async function removeArriving(ctx: Context, { resource, ...journey }: z.output<typeof Arriving>) {
  const { from, uuid } = journey;
  if (await hasArrived(ctx, journey)) {
    const text = `domain ${uuid} has come to ${ctx.host}, so that it stays`;
    throw new HyperError("in_use", text);
  }
  if (resource.kind === "domain") await removeCopy(ctx, resource.name);
  else await removeResource(ctx, resource);
  if (resource.kind === "domain") await letGoOn(ctx.forHost(from), uuid);
}
