/** Why a login failed, and what to do about it. */
import type { AuthMethods } from "./keys.ts";
import { fingerprint, recordedName, type Verdict } from "./known-hosts.ts";
import type { SshTarget } from "./target.ts";

export const nameOf = ({ user, host, port }: SshTarget) => `${user}@${host}:${port}`;

/** An sshd with PerSourcePenalties (OpenSSH 9.8) lets nobody from an address in for so long after failed logins. */
export const HELD_BACK_MS = 15_000;

/** A login whose shell does not come to the program that it shall start. */
export const explainSlowShell = (target: SshTarget, timeoutMs: number) =>
  `no shell there: the login as ${nameOf(target)} succeeded, but its shell does not answer within ${timeoutMs / 1000} s. ` +
  "If its profile takes longer, raise timeout in [ssh] of hypersdk.toml";

/** Whether the sshd took the connection and closed it before it said anything. */
export function isHeldBack(error: unknown): boolean {
  const { code, message = "" } = (error ?? {}) as NodeJS.ErrnoException;
  return code === "ECONNRESET" || /lost before handshake/i.test(message);
}

export function explainHostKey(
  verdict: Exclude<Verdict, "trusted">,
  key: Buffer,
  target: SshTarget,
): string {
  const at = recordedName(target.hostKeyAlias ?? target.host, target.port);
  const [file = "known_hosts"] = target.knownHosts;
  const shown = `the host key of ${nameOf(target)} is ${fingerprint(key)}`;
  const scan = `ssh-keyscan -p ${target.port} ${target.host} >> ${file}`;
  if (verdict === "revoked")
    return `${shown}, which ${file} marks as revoked for ${at}; do not trust this host`;
  if (verdict === "changed") {
    return (
      `${shown}, but another one is recorded for ${at} in ${file}: somebody may be in between. If the host ` +
      `was really installed anew, remove the old key (ssh-keygen -R '${at}' -f ${file}) and record the new one`
    );
  }
  const why =
    verdict === "authority"
      ? `and only an authority (@cert-authority) is recorded for ${at}; OpenSSH certificates are not supported`
      : `and none is recorded for ${at} in ${file}`;
  return (
    `${shown}, ${why}. Compare it on the host itself ` +
    `(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then record it: ${scan}`
  );
}

export function explainFailure(
  { message, level, code, path }: NodeJS.ErrnoException & { level?: string },
  target: SshTarget,
  { tried, unusable }: AuthMethods,
): string {
  const at = nameOf(target);
  if (code === "EACCES" && path) return `${path} cannot be read`;
  if (level === "client-authentication") {
    const keys = tried.join(", ") || "no key at all";
    const causes = [`${at} refuses the login with ${keys}`, ...unusable].join("; ");
    return `${causes}. Check the user, and that its ~/.ssh/authorized_keys there holds the public key`;
  }
  if (/Too many authentication failures/.test(message)) {
    return `${at} was offered too many keys (MaxAuthTries); name the right one in the URI (keyfile=…)`;
  }
  if (isHeldBack({ code, message })) {
    return (
      `${at} closed the connection before the login; its sshd may be holding this address back ` +
      `(PerSourcePenalties, MaxStartups), try again in ${HELD_BACK_MS / 1000} s or more`
    );
  }
  const algorithm = /no matching (.+)/.exec(message)?.[1];
  if (algorithm) return noneInCommon(at, algorithm);
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `the name in ${at} cannot be resolved`;
  if (code === "ECONNREFUSED") return `nothing listens at ${at}; is sshd running there?`;
  if (level === "client-timeout" || /Timed out/.test(message)) return `${at} does not answer`;
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return `there is no route to ${at}`;
  return `no SSH connection to ${at}: ${message}`;
}

/** Of ssh2's words for each kind of algorithm: our name of it, sshd's setting, and what we have. */
const ALGORITHMS: [RegExp, name: string, setting: string, ours: string][] = [
  [
    /key exchange/,
    "key exchange",
    "KexAlgorithms",
    "curve25519-sha256, ecdh-sha2-nistp256 or diffie-hellman-group14-sha256",
  ],
  [
    /host key/,
    "type of host key",
    "HostKeyAlgorithms",
    "ssh-ed25519, ecdsa-sha2-nistp256 or rsa-sha2-512",
  ],
  [/cipher/, "cipher", "Ciphers", "aes128-gcm@openssh.com or aes256-ctr"],
  [/MAC/, "MAC", "MACs", "hmac-sha2-256-etm@openssh.com or hmac-sha2-512"],
];

function noneInCommon(at: string, words: string): string {
  const [, name, setting, ours] = ALGORITHMS.find(([pattern]) => pattern.test(words)) ?? [];
  if (!name) return `${at} and we have no ${words} in common`;
  return `${at} and we have no ${name} in common; allow ${ours} in its sshd_config (${setting})`;
}
