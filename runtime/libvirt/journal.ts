/**
 * Journals of operations: in the database for one that runs as a job, else one file each. Every resource is noted before it is made, so that the leftovers of a
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
import type { JournalStore } from "../jobs/scope.ts";
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

/** What an operation makes, in the order in which it makes it. */
export class Journal {
  readonly resources: Resource[] = [];
  readonly #ctx: Context;
  readonly #store: JournalStore;

  constructor(ctx: Context, operation: string) {
    const { host, job } = ctx;
    this.#ctx = ctx;
    this.#store = job?.openJournal(host, operation) ?? journalFile(host, operation);
  }

  /** Notes a resource, then makes it. A resource that turns out to exist already is not ours, and stays. */
  async track<T>(resource: Resource, make: () => Promise<T>): Promise<T> {
    if (await this.#isTaken(resource)) return make(); // which tells that it is there
    this.resources.push(resource);
    await this.#store.save(this.resources);
    try {
      return await make();
    } catch (error) {
      if (error instanceof HyperError && NOT_MADE.includes(error.code)) {
        this.resources.splice(this.resources.indexOf(resource), 1);
        await this.#store.save(this.resources);
      }
      throw error;
    }
  }

  /** What was made so far is another's by now: a failure leaves it. */
  async release() {
    this.resources.length = 0;
    await this.#store.save(this.resources);
  }

  /** What a job has noted is removed when its worker dies, so that nothing of others' may be noted, not for a moment. */
  async #isTaken(resource: Resource): Promise<boolean> {
    const isNamed = resource.kind === "volume" || resource.kind === "file";
    if (!isNamed || !this.#ctx.job) return false;
    return resourceExists(this.#ctx, resource);
  }

  /** Throws `superseded` once another worker has the job. */
  assertOurs = () => this.#store.save(this.resources);

  /** The operation is complete, and what it made stays. */
  complete = () => this.#store.complete();

  /** Nothing is left of the operation. */
  remove = () => this.#store.remove();
}

/** A journal of a call that ends with its process. */
function journalFile(host: string, operation: string): JournalStore {
  const file = join(folder(), `${randomUUID()}.json`);
  const { pid } = process;
  const started = timestamp();
  const header = { host, operation, started, pid, processStartTime: processStartTime(pid) };
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const remove = async () => rmSync(file, { force: true });
  return {
    /** A server that is killed here leaves the old note or the new one. */
    async save(resources) {
      writeFileSync(`${file}.new`, JSON.stringify({ ...header, resources }), { mode: 0o600 });
      renameSync(`${file}.new`, file);
    },
    complete: remove,
    remove,
  };
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
