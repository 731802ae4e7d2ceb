/** The ways to log in to a target: its key files, then the agent. Passphrases come from the environment. */
import { existsSync, readFileSync } from "node:fs";
import ssh2, { type AnyAuthMethod, type ParsedKey } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import type { Target } from "./target.ts";

export interface Methods {
  methods: AnyAuthMethod[];
  /** What was tried, and which keys could not be read, for a message. */
  tried: string[];
  unread: string[];
}

export function authMethods(target: Target, alias: string): Methods {
  const { user, agent } = target;
  const found: Methods = { methods: [], tried: [], unread: [] };
  for (const { path, required } of target.keys) {
    if (!existsSync(path)) {
      if (!required) continue;
      throw new HyperError("unreachable", `hypervisor ${alias}: keyfile ${path} does not exist`);
    }
    const key = readKey(path, alias);
    if (!(key instanceof HyperError)) {
      found.methods.push({ type: "publickey", username: user, key });
      found.tried.push(path);
    } else if (required) throw key;
    else found.unread.push(key.message);
  }
  if (agent) {
    found.methods.push({ type: "agent", username: user, agent });
    found.tried.push("the ssh-agent");
  }
  return found;
}

/** `HYPERSDK_SSH_PASSPHRASE_KVM1` for the host kvm1, else `HYPERSDK_SSH_PASSPHRASE`. */
const variable = (alias: string) =>
  `HYPERSDK_SSH_PASSPHRASE_${alias.toUpperCase().replace(/[^A-Z0-9]/g, "_")}`;

const passphrase = (alias: string) =>
  process.env[variable(alias)] || process.env.HYPERSDK_SSH_PASSPHRASE || undefined;

/** To open an encrypted key takes 0.4 s in which nothing else happens: once for all hosts and logins. */
const opened = new Map<
  string,
  { text: string; secret: string | undefined; key: ParsedKey | Error }
>();

function open(path: string, text: string, secret: string | undefined): ParsedKey | Error {
  const known = opened.get(path);
  if (known?.text === text && known.secret === secret) return known.key;
  const parsed: ParsedKey | ParsedKey[] | Error = ssh2.utils.parseKey(text, secret);
  const key = Array.isArray(parsed) ? (parsed[0] as ParsedKey) : parsed;
  opened.set(path, { text, secret, key });
  return key;
}

/** The key, or why it cannot be used. */
function readKey(path: string, alias: string): ParsedKey | HyperError {
  const secret = passphrase(alias);
  const wrong = (text: string) => new HyperError("unreachable", `hypervisor ${alias}: ${text}`);
  try {
    const key = open(path, readFileSync(path, "utf8"), secret);
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
