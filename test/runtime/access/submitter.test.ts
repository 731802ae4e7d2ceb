/** The rights of a job's submitter at the time when it runs, by the tokens' file of then. */
import { chmodSync, rmSync } from "node:fs";
import { afterAll, expect, test } from "vitest";
import { type Caller, everything } from "../../../runtime/access/caller.ts";
import { presentRights } from "../../../runtime/access/submitter.ts";
import { createToken, revokeToken } from "../../../runtime/access/token-editor.ts";
import { hashOf, readTokens } from "../../../runtime/access/tokens.ts";
import { ownerOf } from "../../../runtime/function/job-access.ts";
import { checkToken } from "../../../runtime/http/check-token.ts";
import { guarded } from "../../fixtures/access.ts";

const access = guarded();
Object.assign(process.env, access.env);
afterAll(() => access.remove());

let ci = everything("token", "ci");
const failure = () => presentRights(ci).catch(({ code, message }) => `${code}: ${message}`);
/** A token of that name; resolves to its holder. */
async function create() {
  const secret = await createToken({ name: "ci", role: "operate", expires: null }, access.tokens);
  return (await readTokens()).byHash.get(hashOf(secret)) as Caller;
}

test("a token's present rights; without a file those of the submission", async () => {
  expect(await presentRights(ci)).toBe(ci);
  ci = await create();
  expect(await presentRights(ci)).toMatchObject({ name: "ci", role: "operate" });
});

test("a file that cannot be used says nothing about a token", async () => {
  chmodSync(access.tokens, 0o644);
  expect(await failure()).toMatch(/^function_unavailable: the rights of token "ci" are not known/);
  chmodSync(access.tokens, 0o600);
  expect(await presentRights(ci)).toMatchObject({ role: "operate" });
});

test("a revoked token has none, also when it was the last one", async () => {
  await revokeToken("ci", access.tokens);
  expect(await failure()).toMatch(/^forbidden: token "ci" .* the token was revoked/);
  rmSync(access.tokens);
  expect(await presentRights(ci)).toBe(ci);
});

test("another token of the same name is not the submitter's, and the first stays what it is", async () => {
  ci = await create();
  expect(await presentRights(ci)).toEqual(ci);
  await revokeToken("ci", access.tokens);
  const other = await create();
  expect(other.fingerprint).not.toBe(ci.fingerprint);
  expect(await failure()).toMatch(/^forbidden: token "ci" .* the token was revoked/);
  expect(await presentRights(other)).toEqual(other);
  await expect(checkToken(ci)).rejects.toMatchObject({ code: "unauthorized" });
  expect(ownerOf(ci)).toEqual({ kind: "token", name: "ci", fingerprint: ci.fingerprint });
});

test("who is no token keeps what they have", async () => {
  const user = everything("user", "root");
  expect(await presentRights(user)).toBe(user);
});
