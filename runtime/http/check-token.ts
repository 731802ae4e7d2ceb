/** Whether a caller who was let in still is one: for what lasts longer than a call. */
import { isDeepStrictEqual } from "node:util";
import type { Caller } from "../access/caller.ts";
import type { DomainRights } from "../access/domain-rights.ts";
import { hasSignedOut } from "../access/sessions.ts";
import { expired, readTokens, type Tokens } from "../access/tokens.ts";
import { HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import type { Call } from "./call.ts";

/** A revoked token ends what it has open within a second. */
const CHECK_MS = 500;

/** The tokens among which a caller was found: they are compared one by one only once they have changed. */
const found = new WeakMap<Caller, Tokens>();

/** Throws when the caller's token was revoked, has expired, or has other rights by now. */
export async function checkToken(caller: Caller | undefined) {
  if (caller?.kind !== "token") return;
  const problem = problemOf(caller, await readTokens());
  if (problem) throw problem;
}

function problemOf(caller: Caller, tokens: Tokens): HyperError | undefined {
  if (hasSignedOut(caller)) return new HyperError("unauthorized", "the browser has signed out");
  const isThere =
    found.get(caller) === tokens ||
    [...tokens.byHash.values()].some((one) => isDeepStrictEqual(one, caller));
  if (isThere) found.set(caller, tokens);
  if (isThere && !expired(caller)) return undefined;
  const text = "the token was revoked, has expired or has other rights now; connect again";
  return new HyperError("unauthorized", text);
}

type Allowed = Pick<Call, "caller" | "rights">;

interface Held {
  caller: Caller;
  over: (why: HyperError) => void;
}

const held = new Set<Held>();
let timer: NodeJS.Timeout | undefined;
let isChecking = false;

/**
 * Calls `over` once the caller's token counts no more, or its query selects other domains, unless the function that is
 * returned was called before.
 */
export function whileAllowed({ caller, rights }: Allowed, over: Held["over"]): () => void {
  if (caller?.kind !== "token") return () => {};
  const one = { caller, over };
  held.add(one);
  timer ??= setInterval(() => void checkAll(), CHECK_MS); // one for all, which looks at the file once
  timer.unref();
  const leaveRights = caller.select === undefined ? () => {} : whileSelected(rights, over);
  return () => {
    leaveRights();
    held.delete(one);
    if (held.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Each look costs its hypervisors a round trip. */
const CHECK_RIGHTS_MS = 2000;

/** What cannot be looked up is not the caller's. */
function whileSelected(rights: DomainRights, over: Held["over"]): () => void {
  let timer: NodeJS.Timeout | undefined;
  let hasLeft = false;
  const again = () => {
    timer = setTimeout(async () => {
      const haveChanged = await rights.haveChanged();
      if (hasLeft) return;
      if (haveChanged) over(new HyperError("unauthorized", OTHER_DOMAINS));
      else again();
    }, CHECK_RIGHTS_MS);
    timer.unref();
  };
  again();
  return () => {
    hasLeft = true;
    clearTimeout(timer);
  };
}

const OTHER_DOMAINS = "the token's query selects other domains now; connect again";

async function checkAll() {
  if (isChecking) return;
  isChecking = true;
  try {
    const tokens = await readTokens();
    for (const one of held) {
      const problem = problemOf(one.caller, tokens);
      if (!problem) continue;
      held.delete(one);
      one.over(problem);
    }
  } catch (error) {
    log.error({ error }, "the tokens of what is open cannot be checked");
  } finally {
    isChecking = false;
  }
}
