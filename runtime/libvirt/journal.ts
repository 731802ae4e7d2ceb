/**
 * Journals of operations, one file each. Every resource is noted before it is made, so that the leftovers of a
 * killed server are found and named by the next one (GET /status).
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
import { describeResource, Resource, resourceExists } from "./resource.ts";

const Note = z.object({
  host: z.string(),
  operation: z.string(),
  started: z.string(),
  pid: z.int(),
  /** Clock ticks since boot: a process ID alone may be another process by now. */
  processStartTime: z.string(),
  resources: z.array(Resource),
});

/** With these codes nothing was begun: a resource of that name, if any, is not ours to remove. */
const NOT_MADE: ErrorCode[] = ["already_exists", "busy", "unreachable"];

const folder = () => join(stateFolder(), "work");

export class Journal {
  readonly resources: Resource[] = [];
  readonly #file = join(folder(), `${randomUUID()}.json`);
  readonly #header: Omit<z.output<typeof Note>, "resources">;

  constructor(host: string, operation: string) {
    const { pid } = process;
    const started = timestamp();
    this.#header = { host, operation, started, pid, processStartTime: processStartTime(pid) };
    mkdirSync(folder(), { recursive: true, mode: 0o700 });
  }

  /** Notes a resource, then makes it. A resource that turns out to exist already is not ours, and stays. */
  async track<T>(resource: Resource, make: () => Promise<T>): Promise<T> {
    this.resources.push(resource);
    this.#save();
    try {
      return await make();
    } catch (error) {
      if (error instanceof HyperError && NOT_MADE.includes(error.code)) {
        this.resources.splice(this.resources.indexOf(resource), 1);
        this.#save();
      }
      throw error;
    }
  }

  /** A server that is killed here leaves the old note or the new one. */
  #save() {
    const note = JSON.stringify({ ...this.#header, resources: this.resources });
    writeFileSync(`${this.#file}.new`, note, { mode: 0o600 });
    renameSync(`${this.#file}.new`, this.#file);
  }

  remove() {
    rmSync(this.#file, { force: true });
  }
}

/** Resources that servers which ended midway have noted, and that still exist. */
export async function leftovers(ctx: Context) {
  const files = existsSync(folder()) ? readdirSync(folder()) : [];
  const unfinished: { host: string; operation: string; started: string; left: string[] }[] = [];
  for (const name of files.filter((file) => file.endsWith(".json"))) {
    const file = join(folder(), name);
    const note = readNote(file);
    if (!note || note.host !== ctx.host || processStartTime(note.pid) === note.processStartTime)
      continue;
    const left: string[] = [];
    for (const resource of note.resources) {
      // a resource that cannot be looked at, in a pool that is not active, counts as left
      if (await resourceExists(ctx, resource).catch(() => true))
        left.push(describeResource(resource));
    }
    if (left.length === 0) rmSync(file, { force: true });
    else
      unfinished.push({ host: note.host, operation: note.operation, started: note.started, left });
  }
  return unfinished;
}

/** Undefined for a file that is gone by now, or is being written. */
function readNote(file: string) {
  try {
    return Note.safeParse(JSON.parse(readFileSync(file, "utf8"))).data;
  } catch {
    return undefined;
  }
}

/** When a process began, from /proc; empty if there is none. */
function processStartTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}
