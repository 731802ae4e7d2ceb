/**
 * Sessions of browsers that have signed in with a token: a cookie's word stands for it, so that no script of a page can
 * read the token. They are in this process's memory alone, which keeps neither word nor token but their hashes.
 */
import { randomBytes } from "node:crypto";
import type { Caller } from "./caller.ts";
import { expired, hashOf, type Tokens } from "./tokens.ts";

export const SESSION_SECONDS = 12 * 3600;
/** The oldest one ends where there would be more. */
const MAX_SESSIONS = 1000;
/** So that the holder of one token signs out nobody else. */
const MAX_OF_TOKEN = 50;

interface Session {
  tokenHash: string;
  ends: number;
}

/** By the hash of their word; the oldest first. */
const sessions = new Map<string, Session>();
/** Callers that were let in by a session, with its key. */
const keys = new WeakMap<Caller, string>();

/** Returns `cookie=word` of a new session for the holder of this token, who was authenticated: it counts as a whole. */
export function openSession(token: string, cookie: string): string {
  const now = Date.now();
  for (const [key, { ends }] of sessions) if (ends <= now) sessions.delete(key);
  const tokenHash = hashOf(token);
  const own = [...sessions].filter(([, one]) => one.tokenHash === tokenHash);
  for (const [key] of own.slice(0, Math.max(0, own.length - MAX_OF_TOKEN + 1)))
    sessions.delete(key);
  for (const key of sessions.keys()) {
    if (sessions.size < MAX_SESSIONS) break;
    sessions.delete(key);
  }
  const word = `${cookie}=${randomBytes(32).toString("base64url")}`;
  sessions.set(hashOf(word), { tokenHash, ends: now + SESSION_SECONDS * 1000 });
  return word;
}

/** Who has signed in; undefined when the session is over, or its token is revoked or has expired. */
export function sessionCaller(word: string, { byHash }: Tokens): Caller | undefined {
  const key = hashOf(word);
  const session = sessions.get(key);
  if (!session || session.ends <= Date.now()) return undefined;
  const holder = byHash.get(session.tokenHash);
  if (!holder || expired(holder)) return undefined;
  const caller = { ...holder };
  keys.set(caller, key);
  return caller;
}

export const closeSession = (word: string) => void sessions.delete(hashOf(word));

export const isInSession = (caller: Caller) => keys.has(caller);

/** Whether a caller was let in by a session that is over by now. */
export function hasSignedOut(caller: Caller): boolean {
  const key = keys.get(caller);
  const ends = key === undefined ? Number.POSITIVE_INFINITY : (sessions.get(key)?.ends ?? 0);
  return ends <= Date.now();
}
