/**
 * Where an SSH host is and how to log in there: from its libvirt URI, and what that does not say from
 * `~/.ssh/config`. `qemu+ssh://user@host:port/system?keyfile=…&known_hosts=…` as libvirt's users write it.
 */
import { execFileSync } from "node:child_process";
import { HyperError } from "../../core/errors.ts";
import { expand, readUserConfig } from "./user-config.ts";

export interface Target {
  host: string;
  port: number;
  user: string;
  /** Private keys to try, in order; `required` ones must be there. */
  keys: { path: string; required: boolean }[];
  /** The agent's socket. */
  agent: string | undefined;
  knownHosts: string[];
  /** Under this name its key is in known_hosts. */
  hostKeyAlias: string | undefined;
  /** The host that the connection goes through. */
  jump: Target | undefined;
}

/** Throws `unreachable` with what in `~/.ssh/config` is in the way. */
export function sshTarget(uri: string, alias: string): Target {
  const url = new URL(uri);
  const absolute = (key: string) => {
    const path = url.searchParams.get(key);
    return path === null ? undefined : expand(path);
  };
  const [keyfile, knownHosts] = [absolute("keyfile"), absolute("known_hosts")];
  const given: Given = {
    host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, "$1"),
    ...(url.port && { port: Number(url.port) }),
    ...(url.username && { user: decodeURIComponent(url.username) }),
    ...(keyfile && { keyfile }),
    ...(knownHosts && { knownHosts }),
  };
  try {
    return resolve(given);
  } catch (cause) {
    const text = `hypervisor ${alias}: ${(cause as Error).message}`;
    throw new HyperError("unreachable", text, { cause });
  }
}

/** Bun's `userInfo()` knows only the environment, which a service may not have. */
export const localUser = () =>
  process.env.USER || execFileSync("id", ["-un"], { encoding: "utf8" }).trim();

interface Given {
  host: string;
  port?: number;
  user?: string;
  keyfile?: string;
  knownHosts?: string;
}

function resolve(given: Given, depth = 0): Target {
  const me = localUser();
  const all = readUserConfig(given.host, given.user);
  const one = (keyword: string): string | undefined => all(keyword)[0];
  const host = (one("HostName") ?? given.host).replaceAll("%h", given.host);
  const user = given.user ?? one("User") ?? me;
  const port = given.port ?? Number(one("Port") ?? 22);
  const tokens = { h: host, r: user, p: `${port}`, n: given.host, u: me };
  const files = (texts: string[]) => texts.map((text) => expand(text, tokens));
  const proxy = one("ProxyCommand");
  if (proxy && proxy !== "none") {
    throw new Error("~/.ssh/config: ProxyCommand is not supported; use ProxyJump");
  }
  const defaults = ["id_ed25519", "id_ecdsa", "id_rsa"].map((name) => `~/.ssh/${name}`);
  const identities = given.keyfile ? [given.keyfile] : files(all("IdentityFile"));
  const fallback = identities.length > 0 ? [] : files(defaults);
  const agent = agentOf(one("IdentityAgent") ?? "SSH_AUTH_SOCK", tokens);
  const known = all("UserKnownHostsFile").length > 0 ? all("UserKnownHostsFile") : undefined;
  return {
    host,
    port,
    user,
    keys: [
      ...identities.map((path) => ({ path, required: path === given.keyfile })),
      ...fallback.map((path) => ({ path, required: false })),
    ],
    agent: one("IdentitiesOnly") === "yes" ? undefined : agent,
    knownHosts: given.knownHosts
      ? [given.knownHosts]
      : [...files(known ?? ["~/.ssh/known_hosts"]), "/etc/ssh/ssh_known_hosts"],
    hostKeyAlias: one("HostKeyAlias"),
    jump: jumpOf(one("ProxyJump"), depth),
  };
}

/** A socket's path, the variable that holds it, or none. */
function agentOf(text: string, tokens: Record<string, string>): string | undefined {
  if (text === "none") return undefined;
  const variable = text === "SSH_AUTH_SOCK" ? text : /^\$(\w+)$/.exec(text)?.[1];
  return variable ? process.env[variable] || undefined : expand(text, tokens);
}

/** `user@host:port,host2`: the last is next to the hypervisor. */
function jumpOf(text: string | undefined, depth: number): Target | undefined {
  if (!text || text === "none") return undefined;
  if (depth > 8) throw new Error("~/.ssh/config: ProxyJump goes round in circles");
  const hops = text.split(",").map((hop) => {
    const parts = /^(?:ssh:\/\/)?(?:([^@]+)@)?(\[[^\]]+\]|[^:@]+)(?::(\d+))?$/.exec(hop.trim());
    if (!parts) throw new Error(`~/.ssh/config: ProxyJump ${text} cannot be read`);
    const [, user, host = "", port] = parts;
    const given = { host: host.replace(/^\[(.*)\]$/, "$1") };
    return { ...given, ...(user && { user }), ...(port && { port: Number(port) }) };
  });
  let before: Target | undefined;
  for (const hop of hops) {
    const target = resolve(hop, depth + 1);
    before = { ...target, jump: before ?? target.jump };
  }
  return before;
}
