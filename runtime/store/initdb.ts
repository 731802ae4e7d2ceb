/** Makes the data of a private PostgreSQL, whole or not at all. */
import { execFile } from "node:child_process";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { log } from "../core/log.ts";
import { findBinaries } from "./binaries.ts";
import { privileges } from "./child.ts";
import { unavailable } from "./errors.ts";
import type { Place } from "./place.ts";

const TIMEOUT_MS = 120_000;
/** New data has 40 MB, and its first log of changes grows to some more. */
const NEEDED_BYTES = 128 * 1024 * 1024;

/** The major version that has written the data; undefined where there is none yet. */
export function versionOfData(data: string): string | undefined {
  try {
    return readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw unavailable("the folder of its data cannot be read", error);
  }
}

/** Another process may do the same: whoever renames first has made the data, and the other one's work goes. */
export async function initialize(place: Place): Promise<void> {
  const { data, owner } = place;
  const initdb = join(await findBinaries(), "initdb");
  const { bavail, bsize } = statfsSync(dirname(data));
  if (bavail * bsize < NEEDED_BYTES) throw unavailable("no space is left for its data");
  removeAbandoned(data);
  const made = `${data}.new-${process.pid}`;
  try {
    mkdirSync(made, { mode: 0o700 });
    if (owner) chownSync(made, owner.uid, owner.gid);
    const auth = ["--username=hypersdk", "--auth-local=trust", "--auth-host=reject"];
    const [program = "", ...args] = [
      ...privileges(owner, "KILL"),
      ...[initdb, "--pgdata", made, ...auth],
      ...["--encoding=UTF8", "--locale=C", "--data-checksums"],
    ];
    const env = { PATH: process.env.PATH, LC_ALL: "C" };
    await promisify(execFile)(program, args, { cwd: "/", env, timeout: TIMEOUT_MS });
    if (!existsSync(data)) renameSync(made, data);
  } catch (error) {
    if (versionOfData(data)) return; // the other one was first
    log.warn({ cause: error }, "the data of the private PostgreSQL cannot be made");
    const full = /No space left/.test(`${error}`);
    throw unavailable(full ? "no space is left for its data" : "its data cannot be made", error);
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** What processes have left that were killed at this. */
function removeAbandoned(data: string) {
  const start = `${basename(data)}.new-`;
  for (const name of readdirSync(dirname(data))) {
    const pid = name.startsWith(start) ? name.slice(start.length) : "";
    if (!pid || (existsSync(`/proc/${pid}`) && Number(pid) !== process.pid)) continue;
    rmSync(join(dirname(data), name), { recursive: true, force: true });
  }
}
