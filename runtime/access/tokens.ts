/**
 * The tokens' file: one record a token, with the hash of its secret. A change counts with the next call.
 * If the file is unreadable, or writable by others, no token is accepted.
 */
import { createHash } from "node:crypto";
import { readFileSync, type Stats } from "node:fs";
import * as z from "zod";
import { inputError } from "../core/errors.ts";
import { fileStatus } from "../core/file-status.ts";
import { log } from "../core/log.ts";
import { configFolder } from "../core/paths.ts";
import { settings } from "../core/settings.ts";
import { ACCESS, type Caller } from "./caller.ts";

/** The schema is built when a file is read, not with each start. */
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
      select: z.string().min(1).optional(),
      created: z.iso.datetime(),
      /** Null for never. */
      expires: z.iso.datetime().nullable(),
    })
    .refine(({ role, functions }) => (role === undefined) !== (functions === undefined), {
      error: "must have a role or a list of functions",
    })
    .refine(({ domains, select }) => domains === undefined || select === undefined, {
      error: "must have domains or select, and not both",
    });
};

export type Token = z.output<ReturnType<typeof record>>;

export const tokenRecords = () => z.strictObject({ tokens: z.array(record()) });

export interface Tokens {
  /** There is at least one, be it expired. True also when the file cannot be read. */
  exist: boolean;
  /** Why the file does not count. */
  problem?: string;
  byHash: Map<string, Caller>;
}

export const tokenFile = ({ tokens } = settings().access) =>
  tokens ?? `${configFolder()}/tokens.json`;

export const hashOf = (token: string) => createHash("sha256").update(token).digest("hex");

const NONE: Tokens = { exist: false, byHash: new Map() };

let cached: { stamp: string; tokens: Tokens } | undefined;

/** All tokens, as the file has them now. Throws when the file's existence cannot be determined. */
export async function readTokens(path = tokenFile()): Promise<Tokens> {
  const stat = await fileStatus(path);
  // a file that is replaced is another inode, whatever its clock says
  const stamp = stat ? `${path} ${stat.ino} ${stat.ctimeMs} ${stat.size} ${stat.mode}` : path;
  if (cached?.stamp === stamp) return cached.tokens;
  const tokens = stat ? load(path, stat) : NONE;
  if (tokens.problem) log.error({ path }, `tokens: ${tokens.problem}; no token counts`);
  cached = { stamp, tokens };
  return tokens;
}

function load(path: string, { mode, uid }: Stats): Tokens {
  const byHash = new Map<string, Caller>();
  try {
    if (uid !== 0 && uid !== process.getuid?.()) throw new Error(`${path} belongs to another user`);
    // a file that root has made for this user must be readable by others; it holds hashes alone
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

/** Digits of the hash that tell tokens of one name apart. */
const FINGERPRINT_DIGITS = 16;

function callerOf({ name, hash, role, functions, hosts, domains, select, expires }: Token): Caller {
  return {
    kind: "token",
    name,
    fingerprint: hash.slice(0, FINGERPRINT_DIGITS),
    role: role ?? null,
    functions: functions ?? null,
    hosts: hosts ?? null,
    domains: select === undefined ? (domains ?? null) : [],
    ...(select !== undefined && { select }),
    expires,
  };
}

export const expired = ({ expires }: Pick<Caller, "expires">) =>
  expires !== null && Date.parse(expires) <= Date.now();
