/** The users of this machine who need no token: the server's own, root, and the members of a group. */
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { promisify } from "node:util";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";

export interface User {
  name: string;
  trusted: boolean;
}

const CACHE_MS = 30_000;

/** The kernel's uid for a user of another user namespace: it can be anybody. */
const OVERFLOW_UID = 65534;

const cache = new Map<number, { at: number; user: Promise<User> }>();

export function lookUpUser(uid: number): Promise<User> {
  const cached = cache.get(uid);
  if (cached && performance.now() - cached.at < CACHE_MS) return cached.user;
  const user = lookUp(uid);
  cache.set(uid, { at: performance.now(), user });
  return user;
}

async function lookUp(uid: number): Promise<User> {
  if (uid === 0) return { name: "root", trusted: true };
  if (uid === process.getuid?.() && uid !== OVERFLOW_UID) {
    return { name: userInfo().username, trusted: true };
  }
  return askId(uid);
}

async function askId(uid: number): Promise<User> {
  const { group } = settings().access;
  try {
    // `id` asks wherever this machine keeps its users (files, LDAP, sssd)
    const env = { ...process.env, LC_ALL: "C" };
    const { stdout } = await promisify(execFile)("id", ["--", `+${uid}`], { env, timeout: 5000 });
    const [, name = `${uid}`] = stdout.match(/^uid=\d+\((.*?)\) gid=/) ?? [];
    const groups = stdout.match(/ groups=(.*)$/m)?.[1] ?? "";
    const member = groups.split(",").some((one) => /^\d+\((.*)\)$/.exec(one)?.[1] === group);
    return { name, trusted: member };
  } catch (error) {
    log.debug({ uid, error }, "id knows no such user");
    return { name: `${uid}`, trusted: false };
  }
}
