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
import { timestamp } from "../http/envelope.ts";
import type { Context } from "../hypervisor/context.ts";

const Thing = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("volume"), pool: z.string(), name: z.string() }),
  z.object({ kind: z.literal("domain"), name: z.string() }),
  z.object({ kind: z.literal("file"), path: z.string() }),
  z.object({ kind: z.literal("folder"), path: z.string() }),
  /** A folder for others: ours to remove while it is empty, and no leftover while it is not. */
  z.object({ kind: z.literal("parent"), path: z.string() }),
]);

/** What an operation makes. */
export type Thing = z.output<typeof Thing>;

const Note = z.object({
  host: z.string(),
  operation: z.string(),
  started: z.string(),
  pid: z.int(),
  /** Clock ticks since boot: a process ID alone may be another process by now. */
  born: z.string(),
  things: z.array(Thing),
});

export interface Work {
  /** Note a thing, then make it. When it turns out to exist already it is somebody else's, and stays. */
  makes<T>(thing: Thing, make: () => Promise<T>): Promise<T>;
}

/** With these the thing was not begun: what has its name, if anything, is not ours to remove. */
const NOT_MADE: ErrorCode[] = ["already_exists", "busy", "unreachable"];

const folder = () => join(stateFolder(), "work");

/** Between steps: a caller who has gone wants none of it. */
export function stillWanted({ signal }: Context) {
  if (signal.aborted) throw new HyperError("cancelled", "the caller went away");
}

/** Run `steps`. When they fail, everything noted is removed, the last first, and the error says what is left. */
export async function work<T>(
  ctx: Context,
  operation: string,
  steps: (work: Work) => Promise<T>,
): Promise<T> {
  const note = {
    host: ctx.host,
    operation,
    started: timestamp(),
    pid: process.pid,
    born: born(process.pid),
  };
  const things: Thing[] = [];
  const file = join(folder(), `${randomUUID()}.json`);
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const save = () => {
    writeFileSync(`${file}.new`, JSON.stringify({ ...note, things }), { mode: 0o600 });
    renameSync(`${file}.new`, file); // a server killed here leaves the old note or the new one
  };
  const makes: Work["makes"] = async (thing, make) => {
    things.push(thing);
    save();
    try {
      return await make();
    } catch (error) {
      if (error instanceof HyperError && NOT_MADE.includes(error.code)) {
        things.splice(things.indexOf(thing), 1);
        save();
      }
      throw error;
    }
  };
  try {
    const result = await steps({ makes });
    rmSync(file, { force: true });
    return result;
  } catch (error) {
    const left: string[] = [];
    for (const thing of things.toReversed()) {
      await remove(ctx, thing).catch((why: Error) =>
        left.push(`${describe(thing)} (${why.message})`),
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
    if (!note || note.host !== ctx.host || born(note.pid) === note.born) continue;
    const left: string[] = [];
    for (const thing of note.things) {
      // what cannot be looked at, in a pool that is not active, counts as left
      if (await exists(ctx, thing).catch(() => true)) left.push(describe(thing));
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

function describe(thing: Thing): string {
  if (thing.kind === "volume") return `volume ${thing.name} of pool ${thing.pool}`;
  if (thing.kind === "domain") return `domain ${thing.name}`;
  return `${thing.kind === "file" ? "file" : "folder"} ${thing.path}`;
}

/** Removes what may have been made. That it is not there is fine; that it cannot be removed is not. */
async function remove(ctx: Context, thing: Thing) {
  if (!(await exists(ctx, thing))) return;
  if (thing.kind === "volume")
    await ctx.virsh(["vol-delete", "--pool", thing.pool, "--vol", thing.name]);
  else if (thing.kind === "domain") {
    await ctx.virsh.each([["destroy", "--domain", thing.name]]);
    await ctx.virsh(["undefine", "--domain", thing.name, "--nvram"]); // a failed start can make that file
  } else {
    const program = thing.kind === "parent" ? REMOVE_EMPTY : ["rm", "-rf"];
    const done = await ctx.exec([...program, "--", thing.path], {
      signal: new AbortController().signal,
    });
    if (done.exitCode !== 0) throw new HyperError("command_failed", done.stderr.trim());
  }
}

/** Somebody may put something in at any time. */
const REMOVE_EMPTY = ["rmdir", "--ignore-fail-on-non-empty"];

async function exists(ctx: Context, thing: Thing): Promise<boolean> {
  if (thing.kind === "parent") {
    const { stdout } = await ctx.exec(["find", thing.path, "-maxdepth", "0", "-empty"]);
    return stdout !== "";
  }
  if (thing.kind === "file" || thing.kind === "folder") {
    return (await ctx.exec(["test", "-e", thing.path])).exitCode === 0;
  }
  const look =
    thing.kind === "volume"
      ? ["vol-path", "--pool", thing.pool, "--vol", thing.name]
      : ["domstate", "--domain", thing.name]; // domuuid knows no domain by its UUID
  const [found] = await ctx.virsh.each([look]);
  if (found instanceof HyperError && found.code !== "not_found") throw found;
  return typeof found === "string";
}

/** When a process began, from /proc; empty when there is none. */
function born(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
