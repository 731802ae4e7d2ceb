/** PostgreSQL's programs, as the distribution has installed them. */
import { execFile } from "node:child_process";
import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { settings } from "../core/settings.ts";
import { unavailable } from "./errors.ts";

/** Debian's place, a folder for each major version. */
const DEBIAN = "/usr/lib/postgresql";
const VERSION_TIMEOUT_MS = 10_000;

/** The folder of the newest programs; with `version`, of those of that major version, which alone can read its data. */
export async function findBinaries(version?: string): Promise<string> {
  const found = folders().filter(complete);
  const [newest] = found;
  if (!newest) {
    throw unavailable(
      "PostgreSQL is not installed on this machine, and [database] url names no server",
    );
  }
  if (!version) return newest;
  for (const folder of found) if ((await versionOf(folder)) === version) return folder;
  throw unavailable(
    `its data was written by PostgreSQL ${version}, which is no longer installed on this machine`,
  );
}

function folders(): string[] {
  const { binaries } = settings().database;
  if (binaries) return [binaries];
  const debian = namesIn(DEBIAN)
    .filter((name) => /^\d+$/.test(name))
    .sort((a, b) => Number(b) - Number(a))
    .map((name) => join(DEBIAN, name, "bin"));
  const path = (process.env.PATH ?? "").split(delimiter).filter((folder) => folder.startsWith("/"));
  return [...debian, ...path];
}

function complete(folder: string): boolean {
  try {
    for (const name of ["postgres", "initdb"]) accessSync(join(folder, name), constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

async function versionOf(folder: string): Promise<string | undefined> {
  const options = { timeout: VERSION_TIMEOUT_MS, env: { LC_ALL: "C" } };
  const run = promisify(execFile)(join(folder, "postgres"), ["--version"], options);
  const { stdout } = await run.catch(() => ({ stdout: "" }));
  return /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1];
}
