/** Whether a caller who was let in still is one: for what lasts longer than a call. */
import { isDeepStrictEqual } from "node:util";
import type { Caller } from "../access/caller.ts";
import { hasSignedOut } from "../access/sessions.ts";
import { expired, readTokens, type Tokens } from "../access/tokens.ts";
import { HyperError } from "../core/errors.ts";

/** The tokens among which a caller was found: they are compared one by one only once they have changed. */
const found = new WeakMap<Caller, Tokens>();

/** Throws when the caller's token was revoked, has expired, or has other rights by now. */
export async function checkToken(caller: Caller | undefined) {
  if (caller?.kind !== "token") return;
  if (hasSignedOut(caller)) throw new HyperError("unauthorized", "the browser has signed out");
  const tokens = await readTokens();
  const isThere =
    found.get(caller) === tokens ||
    [...tokens.byHash.values()].some((one) => isDeepStrictEqual(one, caller));
  if (isThere) found.set(caller, tokens);
  if (isThere && !expired(caller)) return;
  const text = "the token was revoked, has expired or has other rights now; connect again";
  throw new HyperError("unauthorized", text);
}
