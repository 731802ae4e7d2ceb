/** Creates and revokes tokens. The file is replaced as a whole, under a lock. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { HyperError, inputError } from "../core/errors.ts";
import { withFileLock } from "../core/file-lock.ts";
import { hashOf, type Token, tokenFile, tokenRecords } from "./tokens.ts";

/** Adds a token; resolves to its secret, of which only the hash is kept. Throws `already_exists`. */
export async function createToken(
  token: Omit<Token, "hash" | "created">,
  path = tokenFile(),
): Promise<string> {
  const secret = `hsk_${randomBytes(32).toString("base64url")}`;
  const record = { ...token, hash: hashOf(secret), created: new Date().toISOString() };
  await edit(path, (tokens) => {
    if (tokens.some(({ name }) => name === token.name)) {
      const text = `there is a token ${JSON.stringify(token.name)}; revoke it first, or use another name`;
      throw new HyperError("already_exists", text);
    }
    return [...tokens, record];
  });
  return secret;
}

/** The token is refused from the next call on. Throws `not_found`. */
export async function revokeToken(name: string, path = tokenFile()) {
  await edit(path, (tokens) => {
    const rest = tokens.filter((token) => token.name !== name);
    if (rest.length < tokens.length) return rest;
    const known = tokens.map((token) => token.name).join(", ") || "none";
    throw new HyperError("not_found", `no token ${JSON.stringify(name)}; there are: ${known}`);
  });
}

export function listTokens(path = tokenFile()): Token[] {
  if (!existsSync(path)) return [];
  const { success, data, error } = tokenRecords().safeParse(JSON.parse(readFileSync(path, "utf8")));
  if (success) return data.tokens;
  throw new HyperError("invalid_input", `${path}: ${inputError(error).message}`);
}

/** A revocation must not be lost to somebody who read the file before it. */
async function edit(path: string, change: (tokens: Token[]) => Token[]) {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  await withFileLock(path, "tokens", () => {
    const text = JSON.stringify({ tokens: change(listTokens(path)) }, null, 2);
    writeFileSync(`${path}.new`, `${text}\n`, { mode: 0o600 });
    chmodSync(`${path}.new`, 0o600); // one that was left behind may have been open
    const { uid, gid } = statSync(existsSync(path) ? path : dirname(path));
    if (process.getuid?.() === 0) chownSync(`${path}.new`, uid, gid); // the server may be another user
    renameSync(`${path}.new`, path);
  });
}
