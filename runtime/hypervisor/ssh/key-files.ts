/** Key files: their private halves, with passphrases from the environment, and the public halves they name. */
import { existsSync, readFileSync } from "node:fs";
import type { ParsedKey } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import { isCertificate } from "./certificates.ts";
import { parsePrivateKey } from "./private-key.ts";

/** `HYPERSDK_SSH_PASSPHRASE_KVM1` for the host kvm1, else `HYPERSDK_SSH_PASSPHRASE`. */
const variable = (alias: string) =>
  `HYPERSDK_SSH_PASSPHRASE_${alias.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;

const passphrase = (alias: string) =>
  process.env[variable(alias)] || process.env.HYPERSDK_SSH_PASSPHRASE || undefined;

/** An encrypted key costs 0.4 s of CPU and more, so it is opened once for all hosts and logins. */
const opened = new Map<
  string,
  { text: string; secret: string | undefined; key: Promise<ParsedKey | Error> }
>();

function open(path: string, text: string, secret: string | undefined): Promise<ParsedKey | Error> {
  const known = opened.get(path);
  if (known?.text === text && known.secret === secret) return known.key;
  const key = parsePrivateKey(text, secret);
  opened.set(path, { text, secret, key });
  return key;
}

/** The private key, or why it cannot be used; undefined if there is no such file. */
export async function readKey(
  path: string,
  alias: string,
): Promise<ParsedKey | HyperError | undefined> {
  if (!existsSync(path)) return undefined;
  const secret = passphrase(alias);
  const wrong = (text: string) => new HyperError("unreachable", `hypervisor ${alias}: ${text}`);
  try {
    if (isCertificate(path)) {
      return wrong(`${path} is an OpenSSH certificate; OpenSSH certificates are not supported`);
    }
    const key = await open(path, readFileSync(path, "utf8"), secret);
    if (!(key instanceof Error)) {
      return key.isPrivateKey() ? key : wrong(`${path} is a public key; the private one is needed`);
    }
    if (/no passphrase given/i.test(key.message)) {
      return wrong(
        `${path} is encrypted; put its passphrase into the environment as ${variable(alias)}`,
      );
    }
    if (secret !== undefined && /passphrase|integrity|decrypt/i.test(key.message)) {
      return wrong(`the passphrase in the environment does not open ${path}`);
    }
    return wrong(`${path} is not a private key that can be read (${key.message})`);
  } catch (cause) {
    return new HyperError("unreachable", `hypervisor ${alias}: ${path} cannot be read`, { cause });
  }
}

/** The public halves that a file and the `.pub` beside it hold, by which an agent knows the key. */
export function publicHalves(path: string): Buffer[] {
  return [path, `${path}.pub`].flatMap((file) => {
    try {
      const text = readFileSync(file, "utf8");
      return publicLine(text) ?? publicPart(text) ?? [];
    } catch {
      return []; // the file does not exist, or its user may not read it: the other one may tell
    }
  });
}

/** Of `ssh-ed25519 AAAA… comment`. */
function publicLine(text: string): Buffer | undefined {
  const [, type = "", base64 = ""] = /^\s*([\w@.-]+) ([A-Za-z0-9+/]+=*)(?:\s|$)/.exec(text) ?? [];
  const key = Buffer.from(base64, "base64");
  return type && stringAt(key, 0)?.toString() === type ? key : undefined;
}

/** Of an encrypted private key, whose public half is not encrypted. Source: OpenSSH, PROTOCOL.key. */
function publicPart(text: string): Buffer | undefined {
  const armor = /-----BEGIN OPENSSH PRIVATE KEY-----([\sA-Za-z0-9+/=]+)-----END/.exec(text)?.[1];
  const file = Buffer.from(armor ?? "", "base64");
  const magic = "openssh-key-v1\0";
  if (file.toString("latin1", 0, magic.length) !== magic) return undefined;
  let at = magic.length;
  for (const _ of ["cipher", "kdf", "options"]) at += 4 + (stringAt(file, at)?.length ?? 0);
  return stringAt(file, at + 4); // after the number of keys
}

/** A string of SSH: its length, then its bytes. */
function stringAt(data: Buffer, at: number): Buffer | undefined {
  if (at + 4 > data.length) return undefined;
  const end = at + 4 + data.readUInt32BE(at);
  return end > data.length ? undefined : data.subarray(at + 4, end);
}
