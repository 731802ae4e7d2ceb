/** Where the private PostgreSQL keeps its data and its socket, and which user it runs as. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, chownSync, lstatSync, mkdirSync, realpathSync, statSync } from "node:fs";
import { userInfo } from "node:os";
import { dirname, join } from "node:path";
import { home, mayExist, stateFolder } from "../core/paths.ts";
import { unavailable } from "./errors.ts";

export interface Owner {
  uid: number;
  gid: number;
}

export interface Place {
  data: string;
  socket: string;
  /** Another user in root's place, since PostgreSQL refuses root. */
  owner?: Owner;
}

/** Root's own home is closed to other users. */
const OF_ROOT = "/var/lib/hypersdk";
/** The address of a Unix socket has 108 bytes, of which PostgreSQL's file name takes 15. */
const LONGEST_FOLDER = 90;

const isRoot = () => process.getuid?.() === 0;

/** Whether there is a private PostgreSQL of an earlier process. Makes no folder. */
export function mayHaveData(): boolean {
  const mayBeOfRoot = isRoot() && !process.env.XDG_STATE_HOME;
  const folders = [stateFolder(), ...(mayBeOfRoot ? [OF_ROOT] : [])];
  return folders.some((folder) => mayExist(join(folder, "postgres", "PG_VERSION")));
}

/** Makes the folders that are missing, without the data's own. */
export function findPlace(): Place {
  try {
    if (!isRoot()) return within(stateFolder());
    const owner = unprivileged();
    return within(folderFor(owner), owner);
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException;
    if (!code || !path) throw error;
    const reason = code === "ENOSPC" ? "no space is left" : "its folder cannot be made";
    throw unavailable(`${reason}: ${path}`, error);
  }
}

function within(state: string, preferred?: Owner): Place {
  mkdirSync(state, { recursive: true });
  const data = join(realpathSync(state), "postgres");
  const found = statSync(data, { throwIfNoEntry: false });
  const owner = preferred && (found ? { uid: found.uid, gid: found.gid } : preferred);
  if (owner?.uid === 0) throw unavailable(`${data} belongs to root, whom PostgreSQL refuses`);
  const uid = owner?.uid ?? process.getuid?.();
  if (found && found.uid !== uid) throw unavailable(`${data} belongs to another user`);
  return { data, socket: socketFolder(data, uid, owner), ...(owner && { owner }) };
}

/** The state folder where the owner can reach it. What root has asked for by XDG_STATE_HOME is not replaced. */
function folderFor(owner: Owner): string {
  const state = stateFolder();
  const own = !process.env.XDG_STATE_HOME && home() === userInfo().homedir;
  const base = own && !reachable(dirname(state), owner) ? OF_ROOT : state;
  mkdirSync(base, { recursive: true, mode: 0o711 });
  const { mode, uid } = statSync(base);
  if (uid === 0 && (mode & 0o001) === 0) chmodSync(base, (mode & 0o777) | 0o011); // to pass through, not to list
  if (reachable(base, owner)) return base;
  throw unavailable(`user ${owner.uid}, as whom PostgreSQL runs, cannot enter ${base}`);
}

/** Whether the user can pass each folder of the path. Of those that do not exist yet, the umask decides. */
function reachable(folder: string, { uid, gid }: Owner): boolean {
  const found = statSync(folder, { throwIfNoEntry: false });
  const parent = dirname(folder);
  if (parent !== folder && !reachable(parent, { uid, gid })) return false;
  if (!found) return true;
  const bit = found.uid === uid ? 0o100 : found.gid === gid ? 0o010 : 0o001;
  return (found.mode & bit) !== 0;
}

/** Beside the data where that is short enough for a socket's address. */
function socketFolder(data: string, uid = 0, owner?: Owner): string {
  if (data.length <= LONGEST_FOLDER) return data;
  const name = createHash("sha256").update(data).digest("hex").slice(0, 16);
  const folder = join(owner ? "/run" : "/tmp", `hypersdk-${uid}-${name}`);
  if (!lstatSync(folder, { throwIfNoEntry: false })) {
    mkdirSync(folder, { mode: 0o700 });
    if (owner) chownSync(folder, owner.uid, owner.gid);
  }
  const found = lstatSync(folder);
  const safe = found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0;
  if (!safe) throw unavailable(`${folder} must be a folder of user ${uid} alone`);
  return folder;
}

function unprivileged(): Owner {
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = ["-u", "-g"].map((option) =>
        Number(execFileSync("id", [option, name], { stdio: "pipe", timeout: 10_000 })),
      );
      if (uid && gid) return { uid, gid };
    } catch {
      // there is no such user
    }
  }
  throw unavailable("PostgreSQL refuses root, and this machine has no user postgres or nobody");
}
