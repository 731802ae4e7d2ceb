/**
 * Work that makes several things: each is noted before it is made, so that a failure removes them all, and
 * what a killed server leaves behind can be found and named by the next one (GET /status).
 */
import { randomUUID } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import * as z from "zod";
import { type ErrorCode, HyperError } from "../core/errors.ts";
import { stateFolder } from "../core/paths.ts";
import { timestamp } from "../core/time.ts";
import type { Context } from "../hypervisor/context.ts";

const Resource = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("volume"), pool: z.string(), name: z.string() }),
  z.object({ kind: z.literal("domain"), name: z.string() }),
  z.object({ kind: z.literal("file"), path: z.string() }),
  z.object({ kind: z.literal("folder"), path: z.string() }),
  /** A folder for others: ours to remove while it is empty, and no leftover while it is not. */
  z.object({ kind: z.literal("parent"), path: z.string() }),
]);

/** What an operation makes. */
export type Resource = z.output<typeof Resource>;

const Note = z.object({
  host: z.string(),
  operation: z.string(),
  started: z.string(),
  pid: z.int(),
  /** Clock ticks since boot: a process ID alone may be another process by now. */
  processStartTime: z.string(),
  resources: z.array(Resource),
});

export interface Journal {
  /** Note a thing, then make it. When it turns out to exist already it is somebody else's, and stays. */
  track<T>(resource: Resource, make: () => Promise<T>): Promise<T>;
}

/** With these the thing was not begun: what has its name, if anything, is not ours to remove. */
const NOT_MADE: ErrorCode[] = ["already_exists", "busy", "unreachable"];

const folder = () => join(stateFolder(), "work");

/** Between steps: a caller who has gone wants none of it. */
export function throwIfCancelled({ signal }: Context) {
  if (signal.aborted) throw new HyperError("cancelled", "the client disconnected");
}

/** Run `steps`. When they fail, everything noted is removed, the last first, and the error says what is left. */
export async function withRollback<T>(
  ctx: Context,
  operation: string,
  steps: (withRollback: Journal) => Promise<T>,
): Promise<T> {
  const note = {
    host: ctx.host,
    operation,
    started: timestamp(),
    pid: process.pid,
    processStartTime: processStartTime(process.pid),
  };
  const resources: Resource[] = [];
  const file = join(folder(), `${randomUUID()}.json`);
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const save = () => {
    writeFileSync(`${file}.new`, JSON.stringify({ ...note, resources }), { mode: 0o600 });
    renameSync(`${file}.new`, file); // a server killed here leaves the old note or the new one
  };
  const track: Journal["track"] = async (resource, make) => {
    resources.push(resource);
    save();
    try {
      return await make();
    } catch (error) {
      if (error instanceof HyperError && NOT_MADE.includes(error.code)) {
        resources.splice(resources.indexOf(resource), 1);
        save();
      }
      throw error;
    }
  };
  try {
    const result = await steps({ track });
    rmSync(file, { force: true });
    return result;
  } catch (error) {
    const left: string[] = [];
    for (const resource of resources.toReversed()) {
      await remove(ctx, resource).catch((why: Error) =>
        left.push(`${describe(resource)} (${why.message})`),
      );
    }
    if (left.length === 0) {
      rmSync(file, { force: true });
      throw error;
    }
    const { code, message } =
      error instanceof HyperError
        ? error
        : ({ code: "internal", message: "internal error" } as const);
    throw new HyperError(code, `${message}; left behind: ${left.join(", ")}`, {
      cause: error,
      details: { left },
    });
  }
}

/** What was noted by servers that ended in the middle, and is still there. */
export async function leftovers(ctx: Context) {
  const files = existsSync(folder()) ? readdirSync(folder()) : [];
  const found: { host: string; operation: string; started: string; left: string[] }[] = [];
  for (const name of files.filter((one) => one.endsWith(".json"))) {
    const file = join(folder(), name);
    const note = readNote(file);
    if (!note || note.host !== ctx.host || processStartTime(note.pid) === note.processStartTime)
      continue;
    const left: string[] = [];
    for (const resource of note.resources) {
      // what cannot be looked at, in a pool that is not active, counts as left
      if (await exists(ctx, resource).catch(() => true)) left.push(describe(resource));
    }
    if (left.length === 0) rmSync(file, { force: true });
    else found.push({ host: note.host, operation: note.operation, started: note.started, left });
  }
  return found;
}

/** Nothing for one that is gone by now, or is being written. */
function readNote(file: string) {
  try {
    return Note.safeParse(JSON.parse(readFileSync(file, "utf8"))).data;
  } catch {
    return undefined;
  }
}

function describe(resource: Resource): string {
  if (resource.kind === "volume") return `volume ${resource.name} of pool ${resource.pool}`;
  if (resource.kind === "domain") return `domain ${resource.name}`;
  return `${resource.kind === "file" ? "file" : "folder"} ${resource.path}`;
}

/** Removes what may have been made. That it is not there is fine; that it cannot be removed is not. */
async function remove(ctx: Context, resource: Resource) {
  if (!(await exists(ctx, resource))) return;
  if (resource.kind === "volume")
    await ctx.virsh(["vol-delete", "--pool", resource.pool, "--vol", resource.name]);
  else if (resource.kind === "domain") {
    await ctx.virsh.settled([["destroy", "--domain", resource.name]]);
    await ctx.virsh(["undefine", "--domain", resource.name, "--nvram"]); // a failed start can make that file
  } else {
    const program = resource.kind === "parent" ? REMOVE_EMPTY : ["rm", "-rf"];
    const done = await ctx.exec([...program, "--", resource.path], {
      signal: new AbortController().signal,
    });
    if (done.exitCode !== 0) throw new HyperError("command_failed", done.stderr.trim());
  }
}

/** Somebody may put something in at any time. */
const REMOVE_EMPTY = ["rmdir", "--ignore-fail-on-non-empty"];

async function exists(ctx: Context, resource: Resource): Promise<boolean> {
  if (resource.kind === "parent") {
    const { stdout } = await ctx.exec(["find", resource.path, "-maxdepth", "0", "-empty"]);
    return stdout !== "";
  }
  if (resource.kind === "file" || resource.kind === "folder") {
    return (await ctx.exec(["test", "-e", resource.path])).exitCode === 0;
  }
  const look =
    resource.kind === "volume"
      ? ["vol-path", "--pool", resource.pool, "--vol", resource.name]
      : ["domstate", "--domain", resource.name]; // domuuid knows no domain by its UUID
  const [found] = await ctx.virsh.settled([look]);
  if (found instanceof HyperError && found.code !== "not_found") throw found;
  return typeof found === "string";
}

/** When a process began, from /proc; empty when there is none. */
function processStartTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
