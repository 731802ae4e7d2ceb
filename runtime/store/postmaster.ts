/** What `postmaster.pid` of a data folder says (source: PostgreSQL, miscadmin.h, LOCK_FILE_LINE_*). */
import { linkSync, readdirSync, readFileSync, readlinkSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";

export interface Postmaster {
  pid: number;
  /** `starting`, `ready` or `stopping`. */
  status: string;
}

/** The PostgreSQL that runs on the data; undefined if none does, also where a killed one has left its file. */
export function findPostmaster(data: string): Postmaster | undefined {
  const { pid, status } = read(join(data, "postmaster.pid")) ?? {};
  return pid && status !== undefined && worksIn(pid, data) ? { pid, status } : undefined;
}

function read(file: string): Postmaster | undefined {
  try {
    const lines = readFileSync(file, "utf8").split("\n");
    return { pid: Number(lines[0]), status: lines[7]?.trim() || "starting" };
  } catch {
    return undefined;
  }
}

/** The working folder of PostgreSQL and of its children is its data; a process that has got the number of a dead one has another. */
function worksIn(pid: number, data: string): boolean {
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === data;
  } catch {
    return false;
  }
}

/**
 * Removes the locks of a PostgreSQL that was killed and whose number another process has now, for which PostgreSQL
 * itself takes it. A lock that is new, since another process has started PostgreSQL meanwhile, is put back.
 */
export function removeStaleLocks(data: string, socket: string) {
  // without the lock PostgreSQL would not see the children of a killed one, which still write
  if (readdirSync("/proc").some((name) => worksIn(Number(name), data))) return;
  for (const file of [join(data, "postmaster.pid"), join(socket, ".s.PGSQL.5432.lock")]) {
    const taken = `${file}.${process.pid}`;
    try {
      renameSync(file, taken);
      if (worksIn(read(taken)?.pid ?? 0, data)) linkSync(taken, file);
      rmSync(taken);
    } catch {
      // another process has removed it
    }
  }
}
