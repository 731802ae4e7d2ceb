/** Sessions of browsers: what they stand for, when they end, and that they are bounded. */
import { afterEach, expect, test, vi } from "vitest";
import type { Caller } from "../../../runtime/access/caller.ts";
import {
  closeSession,
  hasSignedOut,
  isInSession,
  openSession,
  SESSION_SECONDS,
  sessionCaller,
} from "../../../runtime/access/sessions.ts";
import { hashOf, type Tokens } from "../../../runtime/access/tokens.ts";

const holder: Caller = {
  ...{ kind: "token", name: "me", role: "read", functions: null, hosts: null, domains: null },
  expires: null,
};
const tokens = (more: Partial<Caller> = {}): Tokens => ({
  exist: true,
  byHash: new Map([[hashOf("secret"), { ...holder, ...more }]]),
});
const open = (token: string, cookie = "session") => openSession(token, cookie);
afterEach(() => vi.useRealTimers());

test("a session is its token's holder, and is over when it is closed", () => {
  const word = open("secret");
  expect(word).toMatch(/^session=[\w-]{43}$/);
  const caller = sessionCaller(word, tokens()) as Caller;
  expect(caller).toEqual(holder);
  expect([isInSession(caller), isInSession(holder)]).toEqual([true, false]);
  expect(hasSignedOut(caller)).toBe(false);
  closeSession(word);
  expect(sessionCaller(word, tokens())).toBeUndefined();
  expect([hasSignedOut(caller), hasSignedOut(holder)]).toEqual([true, false]);
});

test("a token that is revoked, has expired or has other rights counts at once", () => {
  const word = open("secret");
  expect(sessionCaller(word, { exist: true, byHash: new Map() })).toBeUndefined();
  expect(sessionCaller(word, tokens({ expires: "2020-01-01T00:00:00Z" }))).toBeUndefined();
  expect(sessionCaller(word, tokens({ role: "admin" }))?.role).toBe("admin");
});

test("it ends after twelve hours", () => {
  vi.useFakeTimers();
  const word = open("secret");
  const caller = sessionCaller(word, tokens()) as Caller;
  vi.advanceTimersByTime(SESSION_SECONDS * 1000);
  expect(sessionCaller(word, tokens())).toBeUndefined();
  expect(hasSignedOut(caller)).toBe(true);
});

test("the oldest one ends where there would be more than a thousand", () => {
  const first = open("secret");
  const of = (n: number) => Array.from({ length: n }, (_, i) => open(`other ${i}`));
  of(999);
  expect(sessionCaller(first, tokens())).toBeDefined();
  of(1);
  expect(sessionCaller(first, tokens())).toBeUndefined();
});

test("the holder of one token has fifty at most, and ends no other's", () => {
  const other = open("secret");
  for (let n = 0; n < 1000; n++) open("theirs");
  expect(sessionCaller(other, tokens())).toBeDefined();
  const [first, ...later] = Array.from({ length: 50 }, () => open("secret"));
  expect(sessionCaller(other, tokens())).toBeUndefined();
  for (const word of [first, ...later]) expect(sessionCaller(`${word}`, tokens())).toBeDefined();
});

test("a word that nobody was given is nobody's, nor is one under another name than it was given", () => {
  const word = open("secret", "__Host-session");
  expect(sessionCaller(word, tokens())).toBeDefined();
  expect(sessionCaller(word.replace("__Host-", ""), tokens())).toBeUndefined();
  expect(sessionCaller("x".repeat(43), tokens())).toBeUndefined();
});
