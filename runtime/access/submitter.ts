/** The rights that a job runs with: those that its submitter has now, not those of the time when it was submitted. */
import { HyperError } from "../core/errors.ts";
import { fileStatus } from "../core/file-status.ts";
import { type Caller, describeCaller } from "./caller.ts";
import { expired, readTokens, tokenFile } from "./tokens.ts";

/**
 * Throws `forbidden` for the holder of a token that was revoked or has expired, be there another one of its name, and
 * `function_unavailable` while nobody can tell. A machine without a tokens' file, which only works, knows no more than what the server that took
 * the job knew; a file whose last token was revoked is one.
 */
export async function presentRights(submitter: Caller): Promise<Caller> {
  if (submitter.kind !== "token") return submitter;
  const { problem, byHash } = await readTokens();
  if (problem) {
    const text = `the rights of ${describeCaller(submitter)} are not known: the tokens cannot be read; the server's log says why`;
    throw new HyperError("function_unavailable", text);
  }
  const hasFile = (await fileStatus(tokenFile())) !== undefined;
  const present = hasFile ? [...byHash.values()].find((one) => isSame(one, submitter)) : submitter;
  if (!present) {
    throw refused(submitter, "the token was revoked, or this machine does not have it");
  }
  if (expired(present)) throw refused(submitter, "the token has expired");
  return present;
}

const isSame = (one: Caller, other: Caller) =>
  one.name === other.name && one.fingerprint === other.fingerprint;

const refused = (caller: Caller, why: string) =>
  new HyperError("forbidden", `${describeCaller(caller)} may not run this job any more: ${why}`, {
    details: { missing: "token" },
  });
