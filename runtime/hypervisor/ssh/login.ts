/** One login. The host's key is always verified, and every failure says what to do. */
import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Client, ServerHostKeyAlgorithm } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import { unusedCertificates } from "./certificates.ts";
import { type AuthMethods, authMethods } from "./keys.ts";
import { knownTypes, readKnownHosts, type Verdict, verifyHostKey } from "./known-hosts.ts";
import { explainFailure, explainHostKey, nameOf } from "./login-errors.ts";
import ssh2 from "./ssh2.ts";
import type { SshTarget } from "./target.ts";

export interface Login {
  client: Client;
  /** The TCP connection below; with jump hosts, that to the first one. */
  socket: Socket;
  /** Resolves to why it ended. */
  closed: Promise<string>;
  /** Whether it has ended: a request after that would never be answered. */
  isClosed(): boolean;
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
export async function login(target: SshTarget, alias: string, timeout: number): Promise<Login> {
  const auth = await authMethods(target, alias);
  let via: Login | undefined;
  let hostKey: HostKeyCheck | undefined;
  const client = new ssh2.Client();
  let reason = "the connection was closed";
  client.on("error", (error: Error & { level?: string }) => {
    if (error.level !== "agent") reason = error.message;
  });
  let isClosed = false;
  const closed = new Promise<string>((resolve) =>
    client.once("close", () => {
      isClosed = true;
      resolve(reason);
    }),
  );
  try {
    hostKey = new HostKeyCheck(target);
    via = target.jump && (await login(target.jump, alias, timeout));
    const { host, port } = target;
    const socket = via?.socket ?? connect({ host, port, noDelay: true });
    const sock = via ? ((await forward(via, target, timeout)) as Socket) : socket;
    await connectClient(client, sock, target, auth, hostKey, timeout);
    const end = () => {
      client.destroy();
      via?.end();
    };
    closed.then(() => via?.end());
    return { client, socket, closed, isClosed: () => isClosed, end };
  } catch (error) {
    client.destroy();
    via?.end();
    if (error instanceof HyperError) throw error;
    if ((error as { level?: string }).level === "client-authentication") {
      auth.unusable.push(...(await unusedCertificates(target)));
    }
    const why = hostKey?.problem() ?? explainFailure(error as Error, target, auth);
    const text = `hypervisor ${alias}: ${target.notRead ? `${why}. ${target.notRead}` : why}`;
    throw new HyperError("unreachable", text, { cause: error });
  }
}

/** Resolves once the user is logged in. */
function connectClient(
  client: Client,
  sock: Socket,
  { user }: SshTarget,
  { methods, unusable }: AuthMethods,
  hostKey: HostKeyCheck,
  timeout: number,
): Promise<void> {
  return new Promise((resolve, reject) => {
    client.on("error", (error: Error & { level?: string }) => {
      if (error.level !== "agent") return reject(error);
      const failure = `the ssh-agent fails (${error.message})`;
      if (!unusable.includes(failure)) unusable.push(failure);
    });
    client.once("close", () => reject(new Error("the connection was closed"))); // unless an error came first
    client.once("ready", resolve);
    client.connect({
      sock,
      username: user,
      readyTimeout: timeout,
      authHandler: [...methods],
      algorithms: { serverHostKey: hostKey.algorithms() },
      hostVerifier: (key: Buffer) => hostKey.verify(key),
    });
  });
}

/** Compares the key that a host shows with the record. */
class HostKeyCheck {
  #target: SshTarget;
  #record: ReturnType<typeof readKnownHosts>;
  #shown: { key: Buffer; verdict: Verdict } | undefined;

  constructor(target: SshTarget) {
    this.#target = target;
    this.#record = readKnownHosts(target.knownHosts);
  }

  get #name() {
    return this.#target.hostKeyAlias ?? this.#target.host;
  }

  /** Those of the recorded keys first, so that the host shows one of these. */
  algorithms(): ServerHostKeyAlgorithm[] {
    const known = knownTypes(this.#record, this.#name, this.#target.port);
    const rank = (algorithm: string) =>
      known.includes(algorithm.replace(/^rsa-sha2-\d+$/, "ssh-rsa")) ? 0 : 1;
    return [...HOST_KEYS].sort((a, b) => rank(a) - rank(b));
  }

  verify(key: Buffer): boolean {
    const verdict = verifyHostKey(this.#record, this.#name, this.#target.port, key);
    this.#shown = { key, verdict };
    return verdict === "trusted";
  }

  /** Why the key was refused; undefined if none was. */
  problem(): string | undefined {
    if (!this.#shown || this.#shown.verdict === "trusted") return undefined;
    return explainHostKey(this.#shown.verdict, this.#shown.key, this.#target);
  }
}

function forward(via: Login, { jump, host, port }: SshTarget, timeout: number): Promise<Duplex> {
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
