/** Resources that an operation makes on a hypervisor, and how they are looked for and removed. */
import * as z from "zod";
import { type ErrorCode, HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { pathExists, runProgram } from "./program.ts";

export const Resource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("volume"), pool: z.string(), name: z.string() }),
  z.object({ kind: z.literal("domain"), name: z.string() }),
  z.object({ kind: z.literal("file"), path: z.string() }),
  /** With an `id` only the folder that has it: another one may have come to its path. */
  z.object({ kind: z.literal("folder"), path: z.string(), id: z.string().optional() }),
  /** A parent directory that we created; it is removed only if empty, and is no leftover while it is not. */
  z.object({ kind: z.literal("parent"), path: z.string() }),
]);

export type Resource = z.output<typeof Resource>;

export function describeResource(resource: Resource): string {
  if (resource.kind === "volume") return `volume ${resource.name} of pool ${resource.pool}`;
  if (resource.kind === "domain") return `domain ${resource.name}`;
  return `${resource.kind === "file" ? "file" : "folder"} ${resource.path}`;
}

export async function resourceExists(ctx: Context, resource: Resource): Promise<boolean> {
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
  if (!(await resourceExists(ctx, resource))) return;
  if (resource.kind === "volume")
    await ctx.virsh(["vol-delete", "--pool", resource.pool, "--vol", resource.name]);
  else if (resource.kind === "domain") {
    const [off] = await ctx.virsh.settled([["destroy", "--domain", resource.name]]);
    await ctx.virsh(["undefine", "--domain", resource.name, "--nvram"]); // a failed start can make that file
    // one that could not be switched off, as while QEMU hangs, runs on as a domain that is not stored
    if (off instanceof HyperError && (await resourceExists(ctx, resource))) throw off;
  } else {
    const remove = resource.kind === "parent" ? REMOVE_EMPTY : ["rm", "-rf"];
    const { signal } = new AbortController(); // a cancelled call still removes what it has made
    const result = await ctx.exec([...remove, "--", resource.path], { signal });
    if (result.exitCode !== 0) throw new HyperError("command_failed", result.stderr.trim());
  }
}
