/** Where the server listens: an address, with TLS or without, or a Unix socket. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { chmodSync, readFileSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { isLoopback, type Server } from "./access/peer.ts";
import { expired, readTokens, tokenFile } from "./access/tokens.ts";
import { settings } from "./context.ts";
import { log } from "./log.ts";

export type Answer = (request: Request, server: Server) => Response | Promise<Response>;

export interface Listener {
  url: URL;
  /** Take no more calls; resolves when the last connection has ended. `now` ends them all. */
  stop(now?: boolean): Promise<void>;
}

/** Milliseconds between two looks at the certificate's files. */
const LOOK = 2000;

export async function listen(answer: Answer): Promise<Listener> {
  const { listen, tls } = settings();
  if (listen) return listenOnSocket(listen.slice("unix:".length), answer);
  if (tls) return listenWithTls(answer);
  const server = Bun.serve({ ...common(answer), ...address() });
  return { url: server.url, stop: (now) => server.stop(now) };
}

const common = (fetch: Answer) => ({
  idleTimeout: 0, // a wipe can last hours
  maxRequestBodySize: Number.MAX_SAFE_INTEGER, // ours answers in the envelope, Bun's does not
  fetch,
});

const address = () => ({ hostname: settings().host, port: settings().port });

/** Throws when nobody could say who calls, or what is said could be overheard. */
export function checkSafe() {
  const { listen, host, tls, access } = settings();
  if (listen || isLoopback(host)) return;
  const usable = [...readTokens().byHash.values()].some((token) => !expired(token));
  const missing = [
    ...(usable ? [] : [`a token in ${tokenFile()} (hypersdk token create NAME --role read)`]),
    ...(tls || access.proxies.length > 0 ? [] : ["[tls] cert and key, or [access] proxies"]),
  ];
  if (missing.length === 0) return;
  throw new Error(
    `to listen on ${host} it needs ${missing.join(", and ")}; without, host = "127.0.0.1" is for this machine's users`,
  );
}

/** Those may connect who may write to the socket: its owner, and the configured group where there is one. */
async function listenOnSocket(path: string, fetch: Answer): Promise<Listener> {
  await removeStale(path);
  const before = process.umask(0o177); // nobody else's, from the first moment
  try {
    const options = { ...common(fetch), unix: path };
    const server = Bun.serve(options as object as Bun.Serve.Options<unknown>); // its types know no idleTimeout here
    const { group } = settings().access;
    const { exitCode } = Bun.spawnSync(["chgrp", "--", group, path], { stderr: "ignore" });
    if (exitCode === 0) chmodSync(path, 0o660);
    else log.info(`${path}: for this user alone, since it cannot be given to the group ${group}`);
    return { url: server.url, stop: (now) => server.stop(now) };
  } finally {
    process.umask(before);
  }
}

/** A server that was killed leaves its socket, on which nobody listens; anything else stays. */
async function removeStale(path: string) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found?.isSocket()) return;
  const probe = connect(path);
  const refused = await once(probe, "connect").then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === "ECONNREFUSED",
  );
  probe.destroy();
  if (refused) rmSync(path);
}

interface Certificate {
  cert: string;
  key: string;
  ca?: string;
}

/**
 * Bun cannot change the certificate of a server that listens, so another one listens beside it, and the
 * first takes no more connections. Those that it has go on.
 */
function listenWithTls(fetch: Answer): Listener {
  const start = (certificate: Certificate, port: number) =>
    Bun.serve({
      ...common(fetch),
      ...address(),
      port,
      reusePort: true,
      tls: {
        ...certificate,
        ...(certificate.ca && { requestCert: true, rejectUnauthorized: true }),
      },
    });
  let stamp = stampOf();
  let server = start(readCertificate(), settings().port);
  const look = setInterval(() => {
    try {
      if (stamp === stampOf()) return;
      stamp = stampOf();
      const next = start(readCertificate(), server.port ?? 0);
      void server.stop();
      server = next;
      log.info("the TLS certificate was read again");
    } catch (error) {
      log.error({ error }, "the new TLS certificate cannot be used; the one before stays");
    }
  }, LOOK);
  look.unref();
  const stop = (now?: boolean) => {
    clearInterval(look);
    return server.stop(now);
  };
  return { url: server.url, stop };
}

const files = () => {
  const { cert, key, client_ca } = settings().tls ?? { cert: "", key: "" };
  return [cert, key, ...(client_ca ? [client_ca] : [])];
};

const stampOf = () =>
  files()
    .map((path) => statSync(path))
    .map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`)
    .join();

/** Throws when the key is not the certificate's. */
function readCertificate(): Certificate {
  const [cert = "", key = "", ca] = files().map((path) => readFileSync(path, "utf8"));
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error("[tls] key is not the key of cert");
  return { cert, key, ...(ca && { ca }) };
}
