/** OpenSSH certificates, which ssh2 cannot use. A login that is refused says which ones it went without. */
import { readFileSync } from "node:fs";
import { runLocally } from "../local.ts";
import type { SshTarget } from "./target.ts";

const AGENT_TIMEOUT_MS = 4000;

const holdsCertificate = (text: string) => /^[\w@.-]+-cert-v01@openssh\.com /m.test(text);

export function isCertificate(path: string): boolean {
  try {
    return holdsCertificate(readFileSync(path, "utf8"));
  } catch {
    return false; // there is none, or OpenSSH could not read it either
  }
}

/** A sentence for a message, or none. */
export async function unusedCertificates(target: SshTarget): Promise<string[]> {
  const beside = target.keys.map(({ path }) => `${path.replace(/\.pub$/, "")}-cert.pub`);
  const found = [...new Set([...target.certificates, ...beside])].filter(isCertificate);
  if (target.agent && (await agentHoldsOne(target.agent))) found.push("one in the ssh-agent");
  if (found.length === 0) return [];
  return [`OpenSSH certificates are not supported (${found.join(", ")})`];
}

/** ssh2 leaves certificates out of an agent's list. */
async function agentHoldsOne(socket: string): Promise<boolean> {
  const options = { timeout: AGENT_TIMEOUT_MS };
  const listed = runLocally(["ssh-add", "-L"], options, { SSH_AUTH_SOCK: socket });
  return listed.then(
    ({ stdout }) => holdsCertificate(stdout),
    () => false, // without ssh-add nothing is known of the agent's certificates
  );
}
