/**
 * The tokens' file: one record a token, with the hash of its secret. A change counts within 10 ms.
 * A file that cannot be read, or that others could have written, holds no token that counts.
 */
import { createHash } from "node:crypto";
import { readFileSync, type Stats } from "node:fs";
import * as z from "zod";
import { inputError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { configFolder, isNotFound, mayExist } from "../core/paths.ts";
import { settings } from "../core/settings.ts";
import { ACCESS, type Caller } from "./caller.ts";

/** Made when a file is read, not with each start. */
const record = () => {
  const list = z.array(z.string().min(1)).min(1);
  return z
    .strictObject({
      name: z.string().min(1),
      /** SHA-256 of the token, in hexadecimal digits. */
      hash: z.string().regex(/^[0-9a-f]{64}$/),
      role: z.enum(ACCESS).optional(),
      functions: list.optional(),
      hosts: list.optional(),
      domains: list.optional(),
      created: z.iso.datetime(),
      /** Null for never. */
      expires: z.iso.datetime().nullable(),
    })
    .refine(({ role, functions }) => (role === undefined) !== (functions === undefined), {
      error: "must have a role or a list of functions",
    });
};

export type Token = z.output<ReturnType<typeof record>>;

export const tokenRecords = () => z.strictObject({ tokens: z.array(record()) });

export interface Tokens {
  /** There is one at least, be it expired; or nobody knows, since the file cannot be read. */
  exist: boolean;
  /** Why the file does not count. */
  problem?: string;
  byHash: Map<string, Caller>;
}

export const tokenFile = () => settings().access.tokens ?? `${configFolder()}/tokens.json`;

export const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

let read: { stamp: string; tokens: Tokens; at: number } | undefined;

const NONE: Tokens = { exist: false, byHash: new Map() };

/** Milliseconds until the file is looked at again: a system call takes a call of a millisecond 20 µs. */
const FRESH = 10;

/** All tokens, as the file has them now. Throws when nobody can tell whether there is one. */
export function readTokens(): Tokens | Promise<Tokens> {
  const at = performance.now();
  if (read && at - read.at < FRESH) return read.tokens;
  const path = tokenFile();
  const before = read?.stamp ?? path;
  if (before !== path || mayExist(path)) return look(path, at);
  read = { stamp: path, tokens: NONE, at }; // nothing there, as before: it needs no promise
  return NONE;
}

async function look(path: string, at: number): Promise<Tokens> {
  const stat = await statOf(path);
  // a file that is replaced is another inode, whatever its clock says
  const stamp = stat ? `${path} ${stat.ino} ${stat.ctimeMs} ${stat.size} ${stat.mode}` : path;
  if (read?.stamp === stamp) {
    read.at = Math.max(read.at, at);
    return read.tokens;
  }
  const tokens = stat ? load(path, stat) : NONE;
  if (tokens.problem) log.error({ path }, `tokens: ${tokens.problem}; no token counts`);
  if (!read || at >= read.at) read = { stamp, tokens, at }; // somebody may have looked later, and be done
  return tokens;
}

/** Undefined when there is nothing. `node:fs` can tell, too, and takes a start 2 ms to load. */
async function statOf(path: string): Promise<Stats | undefined> {
  try {
    return await Bun.file(path).stat();
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

function load(path: string, { mode, uid }: Stats): Tokens {
  const byHash = new Map<string, Caller>();
  try {
    if (uid !== 0 && uid !== process.getuid?.()) throw new Error(`${path} belongs to another user`);
    // what root has made for another user cannot be read unless by others; it holds hashes
    const open = mode & (uid === process.getuid?.() ? 0o077 : 0o022);
    if (open) throw new Error(`${path} is open to other users; chmod 600 ${path}`);
    const { success, data, error } = tokenRecords().safeParse(
      JSON.parse(readFileSync(path, "utf8")),
    );
    if (!success) throw new Error(`${path}: ${inputError(error).message}`);
    for (const token of data.tokens) byHash.set(token.hash, callerOf(token));
    return { exist: byHash.size > 0, byHash };
  } catch (error) {
    return { exist: true, problem: (error as Error).message, byHash };
  }
}

function callerOf({ name, role, functions, hosts, domains, expires }: Token): Caller {
  return {
    kind: "token",
    name,
    role: role ?? null,
    functions: functions ?? null,
    hosts: hosts ?? null,
    domains: domains ?? null,
    expires,
  };
}

export const expired = ({ expires }: Pick<Caller, "expires">) =>
  expires !== null && Date.parse(expires) <= Date.now();
