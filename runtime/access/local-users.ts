/** The users of this machine who need no token: the server's own, root, and the members of a group. */
import { execFile } from "node:child_process";
import { userInfo } from "node:os";
import { promisify } from "node:util";
import { atOnce } from "../core/at-once.ts";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";

export interface User {
  name: string;
  trusted: boolean;
}

/** Milliseconds until a user's groups are looked up again. */
const FRESH = 30_000;

/** What the kernel says for a user of another user namespace: anybody. */
const OVERFLOW = 65534;

const known = new Map<number, { at: number; user: User | Promise<User> }>();

/** A promise only where they are looked up now. */
export function lookUpUser(uid: number): User | Promise<User> {
  const found = known.get(uid);
  if (found && performance.now() - found.at < FRESH) return found.user;
  const user = lookUp(uid);
  const entry = { at: performance.now(), user };
  known.set(uid, entry);
  return atOnce(user, (user) => {
    entry.user = user;
    return user;
  });
}

function lookUp(uid: number): User | Promise<User> {
  if (uid === 0) return { name: "root", trusted: true };
  if (uid === process.getuid?.() && uid !== OVERFLOW) {
    return { name: userInfo().username, trusted: true };
  }
  return ask(uid);
}

async function ask(uid: number): Promise<User> {
  const { group } = settings().access;
  try {
    // it asks wherever this machine keeps its users
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
