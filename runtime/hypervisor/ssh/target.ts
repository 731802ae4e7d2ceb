/**
 * Where an SSH host is and how to log in there: from its libvirt URI, and from ssh_config where the URI does
 * not say. `qemu+ssh://user@host:port/system?keyfile=…&known_hosts=…` as libvirt's users write it.
 */
import { HyperError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import { home, mayExist } from "../../core/paths.ts";
import { expand, localUser, substitute, type Tokens, tokensOf } from "./tokens.ts";
import { type Destination, NotRead, readUserConfig, type UserConfig } from "./user-config.ts";

export interface SshTarget {
  host: string;
  port: number;
  user: string;
  /** Files of keys to try, in order; a `required` one must be usable. */
  keys: { path: string; required: boolean }[];
  /** Files that CertificateFile names; OpenSSH looks beside each key, too. */
  certificates: string[];
  /** The agent's socket. */
  agent: string | undefined;
  /** Of the agent's keys, only those that `keys` names are tried. */
  identitiesOnly: boolean;
  knownHosts: string[];
  /** The name of its key in known_hosts. @default the host's */
  hostKeyAlias: string | undefined;
  /** The host that the connection goes through. */
  jump: SshTarget | undefined;
  /** Why ssh_config was not read. */
  notRead: string | undefined;
}

interface Given extends Destination {
  keyfile?: string;
  knownHosts?: string;
  signal?: AbortSignal;
}

const MAX_JUMPS = 8;
const KEY_FILES = ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => `~/.ssh/${name}`);
const USER_KNOWN_HOSTS = "~/.ssh/known_hosts ~/.ssh/known_hosts2";
const GLOBAL_KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2";

/** Throws `unreachable` with the reason why ssh_config cannot be used. */
export async function sshTarget(
  uri: string,
  alias: string,
  signal?: AbortSignal,
): Promise<SshTarget> {
  const url = new URL(uri);
  const path = (key: string) => {
    const value = url.searchParams.get(key);
    return value === null ? undefined : expand(value);
  };
  try {
    const [keyfile, knownHosts] = [path("keyfile"), path("known_hosts")];
    return await resolveTarget({
      host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1"),
      ...(url.port && { port: Number(url.port) }),
      ...(url.username && { user: decodeURIComponent(url.username) }),
      ...(keyfile && { keyfile }),
      ...(knownHosts && { knownHosts }),
      ...(signal && { signal }),
    });
  } catch (cause) {
    if (cause instanceof HyperError && cause.code === "cancelled") throw cause;
    const text = `hypervisor ${alias}: ${(cause as Error).message}`;
    throw new HyperError("unreachable", text, { cause });
  }
}

async function resolveTarget(given: Given, jumps = 0): Promise<SshTarget> {
  const { config, notRead } = await readOrDefaults(given);
  const one = (keyword: string) => config(keyword)?.[0];
  const command = one("ProxyCommand");
  if (command && command !== "none") {
    throw new Error("~/.ssh/config: ProxyCommand is not supported; use ProxyJump");
  }
  const host = one("HostName") ?? given.host;
  const user = given.user ?? one("User") ?? localUser();
  const port = given.port ?? Number(one("Port") ?? 22);
  const [hostKeyAlias, proxyJump] = [one("HostKeyAlias"), one("ProxyJump")];
  const tokens = tokensOf({ host, user, port, asked: given.host, hostKeyAlias, proxyJump });
  const paths = (files: string[]) =>
    files.filter((file) => file !== "none").map((file) => expand(file, tokens));
  const keys = () => paths(config("IdentityFile") ?? KEY_FILES);
  const knownHosts = () => [
    ...filesOf(one("UserKnownHostsFile") ?? USER_KNOWN_HOSTS),
    ...filesOf(one("GlobalKnownHostsFile") ?? GLOBAL_KNOWN_HOSTS),
  ];
  return {
    host,
    port,
    user,
    keys: given.keyfile
      ? [{ path: given.keyfile, required: true }]
      : keys().map((path) => ({ path, required: false })),
    certificates: paths(config("CertificateFile") ?? []),
    agent: agentOf(one("IdentityAgent") ?? "SSH_AUTH_SOCK", tokens),
    identitiesOnly: one("IdentitiesOnly") === "yes",
    knownHosts: given.knownHosts ? [given.knownHosts] : paths(knownHosts()),
    hostKeyAlias,
    jump: proxyJump ? await jumpOf(substitute(proxyJump, tokens), jumps, given.signal) : undefined,
    notRead,
  };
}

let warned = false;

/** Where OpenSSH cannot be asked, its defaults count for everything that the URI does not say. */
async function readOrDefaults(
  given: Given,
): Promise<{ config: UserConfig; notRead: string | undefined }> {
  try {
    return { config: await readUserConfig(given, given.signal), notRead: undefined };
  } catch (error) {
    if (!(error instanceof NotRead)) throw error;
    if (!mayExist(`${home()}/.ssh/config`)) return { config: () => undefined, notRead: undefined };
    const notRead = `~/.ssh/config was not read: ${error.message}`;
    if (!warned) log.warn(notRead);
    warned = true;
    return { config: () => undefined, notRead };
  }
}

/** `ssh -G` separates files by spaces and does not quote them, so a space in a name is one before no new path. */
const filesOf = (value: string) => value.split(/ (?=[/~%$])/);

/** The path of a socket, the variable that holds it, or `none`. */
function agentOf(value: string, tokens: Tokens): string | undefined {
  if (value === "none") return undefined;
  const variable = value === "SSH_AUTH_SOCK" ? value : /^\$(\w+)$/.exec(value)?.[1];
  return variable ? process.env[variable] || undefined : expand(value, tokens);
}

/** `user@host:port,host2`: the last one reaches the hypervisor. */
async function jumpOf(
  value: string,
  jumps: number,
  signal?: AbortSignal,
): Promise<SshTarget | undefined> {
  if (value === "none") return undefined;
  if (jumps >= MAX_JUMPS) throw new Error("~/.ssh/config: ProxyJump goes round in circles");
  let before: SshTarget | undefined;
  for (const hop of value.split(",")) {
    const parts = /^(?:ssh:\/\/)?(?:([^@]+)@)?(\[[^\]]+\]|[^:@]+)(?::(\d+))?$/.exec(hop.trim());
    if (!parts) throw new Error(`~/.ssh/config: ProxyJump ${value} cannot be read`);
    const [, user, host = "", port] = parts;
    const given = { host: host.replace(/^\[(.*)\]$/, "$1"), ...(signal && { signal }) };
    const destination = { ...given, ...(user && { user }), ...(port && { port: Number(port) }) };
    const target = await resolveTarget(destination, jumps + 1);
    before = { ...target, jump: before ?? target.jump };
  }
  return before;
}
