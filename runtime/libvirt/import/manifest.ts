/** The manifest of an OVF: the digest of each file, as `SHA256(disk1.vmdk)= 0123…`. */
import { ApplianceProblem, plainName } from "./appliance.ts";

export type Algorithm = "sha1" | "sha256" | "sha512";

export interface Digest {
  algorithm: Algorithm;
  /** In lower-case hexadecimal. */
  value: string;
}

export const MAX_MANIFEST_BYTES = 1024 * 1024;
const LENGTHS: Record<Algorithm, number> = { sha1: 40, sha256: 64, sha512: 128 };
const LINE = /^(SHA1|SHA256|SHA512)\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)\s*$/;

/** By the names of the files. Throws `ApplianceProblem` for a line that is no digest. */
export function parseManifest(bytes: Buffer): Map<string, Digest> {
  const digests = new Map<string, Digest>();
  const lines = bytes.toString("utf8").split(/\r?\n/);
  for (const line of lines.filter((text) => text.trim() !== "")) {
    const [, word = "", file = "", digits = ""] = line.match(LINE) ?? [];
    const algorithm = word.toLowerCase() as Algorithm;
    if (digits.length !== LENGTHS[algorithm])
      throw new ApplianceProblem(
        `has the line ${JSON.stringify(line.slice(0, 200))}, which is no digest`,
      );
    const name = plainName(file);
    if (digests.has(name)) throw new ApplianceProblem(`has two digests of ${name}`);
    digests.set(name, { algorithm, value: digits.toLowerCase() });
  }
  return digests;
}
