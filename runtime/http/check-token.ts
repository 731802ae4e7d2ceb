/** Whether a caller who was let in still is one: for what lasts longer than a call. */
import { isDeepStrictEqual } from "node:util";
import type { Caller } from "../access/caller.ts";
import { hasSignedOut } from "../access/sessions.ts";
import { expired, readTokens } from "../access/tokens.ts";
import { HyperError } from "../core/errors.ts";

/** Throws when the caller's token was revoked, has expired, or has other rights by now. */
export async function checkToken(caller: Caller | undefined) {
  if (caller?.kind !== "token") return;
  if (hasSignedOut(caller)) throw new HyperError("unauthorized", "the browser has signed out");
  const same = [...(await readTokens()).byHash.values()].find((one) =>
    isDeepStrictEqual(one, caller),
  );
  if (same && !expired(same)) return;
  const text = "the token was revoked, has expired or has other rights now; connect again";
  throw new HyperError("unauthorized", text);
}
