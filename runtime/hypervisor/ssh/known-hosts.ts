/** Host keys as OpenSSH records them: plain and hashed names, ports, patterns, `@revoked`. Source: sshd(8). */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";

/** "authority": only the authority that certifies its key is recorded, and certificates are not supported. */
export type Verdict = "trusted" | "unknown" | "changed" | "revoked" | "authority";

interface Entry {
  marker: string | undefined;
  names: string;
  type: string;
  key: string;
}

/** The entries of all these files. Files that do not exist hold none. */
export function readKnownHosts(files: string[]): Entry[] {
  const texts = files.filter(existsSync).map((file) => readFileSync(file, "utf8"));
  return texts
    .flatMap((text) => text.split("\n"))
    .flatMap((line) => {
      const fields = /^\s*(?:(@\S+)\s+)?([^\s#]\S*)\s+(\S+)\s+(\S+)/.exec(line);
      if (!fields) return [];
      const [, marker, names = "", type = "", key = ""] = fields;
      return [{ marker, names, type, key }];
    });
}

/** The name of the key type, as a record has it. */
const typeOf = (key: Buffer) => key.subarray(4, 4 + key.readUInt32BE(0)).toString("latin1");

/** Compares the key that a host shows with the recorded ones. */
export function verifyHostKey(entries: Entry[], host: string, port: number, key: Buffer): Verdict {
  const shown = key.toString("base64");
  const own = entries.filter(({ names }) => matches(names, recordedName(host, port)));
  const same = own.filter((entry) => entry.key === shown);
  if (same.some(({ marker }) => marker === "@revoked")) return "revoked";
  if (same.some(({ marker }) => marker === undefined)) return "trusted";
  const others = own.filter(({ marker, type }) => marker === undefined && type === typeOf(key));
  if (others.length > 0) return "changed";
  return own.some(({ marker }) => marker === "@cert-authority") ? "authority" : "unknown";
}

/** The recorded key types of a host, so that it is asked for one of these. */
export function knownTypes(entries: Entry[], host: string, port: number): string[] {
  const own = entries.filter(
    ({ marker, names }) => marker === undefined && matches(names, recordedName(host, port)),
  );
  return [...new Set(own.map(({ type }) => type))];
}

export const recordedName = (host: string, port: number) =>
  port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;

/** The fingerprint as `ssh-keygen -l` prints it. */
export function fingerprint(key: Buffer): string {
  const digest = createHash("sha256").update(key).digest("base64").replace(/=+$/, "");
  return `${typeOf(key)} SHA256:${digest}`;
}

function matches(names: string, name: string): boolean {
  const hashed = /^\|1\|([^|]+)\|([^|]+)$/.exec(names);
  if (hashed) {
    const [, salt = "", hash = ""] = hashed;
    const made = createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest();
    const recorded = Buffer.from(hash, "base64");
    return made.length === recorded.length && timingSafeEqual(made, recorded);
  }
  const patterns = names.toLowerCase().split(",");
  const hits = (pattern: string) => glob(pattern).test(name);
  return (
    patterns.some((one) => !one.startsWith("!") && hits(one)) &&
    !patterns.some((one) => one.startsWith("!") && hits(one.slice(1)))
  );
}

function glob(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`);
}
