/** One login: the host's key is verified, always, and every failure says what to do. */
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { Client, type ServerHostKeyAlgorithm } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import { authMethods } from "./keys.ts";
import {
  fingerprint,
  knownTypes,
  readKnownHosts,
  recordedName,
  type Verdict,
  verifyHostKey,
} from "./known-hosts.ts";
import type { Target } from "./target.ts";

export interface Login {
  client: Client;
  /** The TCP connection that everything goes through; with jump hosts, the first one's. */
  socket: Socket;
  /** Resolves to why it ended. */
  closed: Promise<string>;
  end(): void;
}

const HOST_KEYS: ServerHostKeyAlgorithm[] = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512" as ServerHostKeyAlgorithm,
  "rsa-sha2-256" as ServerHostKeyAlgorithm,
  "ssh-rsa",
];

/** `timeout` (milliseconds) bounds each hop. */
export async function login(target: Target, alias: string, timeout: number): Promise<Login> {
  const { methods, tried, unread } = authMethods(target, alias);
  const via = target.jump && (await login(target.jump, alias, timeout));
  const name = target.hostKeyAlias ?? target.host;
  const record = readKnownHosts(target.knownHosts);
  const known = knownTypes(record, name, target.port);
  const rank = (algorithm: string) =>
    known.includes(algorithm.replace(/^rsa-sha2-\d+$/, "ssh-rsa")) ? 0 : 1;
  let verdict: Verdict = "trusted";
  let shown: Buffer | undefined;
  const client = new Client();
  let ended = "the connection was closed";
  const closed = new Promise<string>((resolve) => client.once("close", () => resolve(ended)));
  try {
    const socket = via
      ? undefined
      : connect({ host: target.host, port: target.port, noDelay: true });
    const sock = socket ?? (await forward(via as Login, target, timeout));
    await new Promise<void>((resolve, reject) => {
      client.on("error", (error: Error & { level?: string }) => {
        if (error.level === "agent") return unread.push(`the ssh-agent fails (${error.message})`);
        ended = error.message;
        reject(error);
      });
      client.once("close", () => reject(new Error(ended)));
      client.once("ready", resolve);
      client.connect({
        sock: sock as Socket,
        username: target.user,
        readyTimeout: timeout,
        authHandler: [...methods],
        algorithms: { serverHostKey: [...HOST_KEYS].sort((a, b) => rank(a) - rank(b)) },
        hostVerifier: (key: Buffer) => {
          shown = key;
          verdict = verifyHostKey(record, name, target.port, key);
          return verdict === "trusted";
        },
      });
    });
    const end = () => {
      client.destroy();
      via?.end();
    };
    closed.then(() => via?.end());
    return { client, socket: via?.socket ?? (socket as Socket), closed, end };
  } catch (error) {
    client.destroy();
    via?.end();
    if (error instanceof HyperError) throw error;
    const at = nameOf(target);
    const why =
      verdict !== "trusted" && shown
        ? keyRefused(verdict, shown, name, target)
        : explain(error as Error & { level?: string; code?: string }, at, tried, unread);
    throw new HyperError("unreachable", `hypervisor ${alias}: ${why}`, { cause: error });
  }
}

const nameOf = ({ user, host, port }: Target) => `${user}@${host}:${port}`;

function forward(via: Login, { jump, host, port }: Target, timeout: number): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(new Error(`${jump && nameOf(jump)} cannot reach it for us: ${why}`));
    const timer = setTimeout(() => fail(`no answer within ${timeout / 1000} s`), timeout);
    via.client.forwardOut("127.0.0.1", 0, host, port, (error, stream) => {
      clearTimeout(timer);
      error ? fail(error.message.replace(/^.*Channel open failure: /, "")) : resolve(stream);
    });
  });
}

function keyRefused(verdict: Verdict, key: Buffer, name: string, target: Target): string {
  const at = recordedName(name, target.port);
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
  return (
    `${shown}, and none is recorded for ${at} in ${file}. Compare it on the host itself ` +
    `(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then record it: ${scan}`
  );
}

function explain(
  { message, level, code }: Error & { level?: string; code?: string },
  at: string,
  tried: string[],
  unread: string[],
): string {
  if (level === "client-authentication") {
    const said = [`${at} refuses the login with ${tried.join(", ") || "no key at all"}`, ...unread];
    return `${said.join("; ")}. Check the user, and that its ~/.ssh/authorized_keys there holds the public key`;
  }
  if (/Too many authentication failures/.test(message)) {
    return `${at} was offered too many keys (MaxAuthTries); name the right one in the URI (keyfile=…)`;
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `the name in ${at} cannot be resolved`;
  if (code === "ECONNREFUSED") return `nothing listens at ${at}; is sshd running there?`;
  if (level === "client-timeout" || /Timed out/.test(message)) return `${at} does not answer`;
  if (code === "EHOSTUNREACH" || code === "ENETUNREACH") return `there is no route to ${at}`;
  return `no SSH connection to ${at}: ${message}`;
}
