/** Where the server listens: an address, with TLS or without, or a Unix socket. */
import { once } from "node:events";
import { chmodSync, rmSync, statSync } from "node:fs";
import { connect } from "node:net";
import { expired, readTokens, tokenFile } from "../access/tokens.ts";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { lastResort } from "../http/envelope.ts";
import { isLoopback } from "../http/peer.ts";
import type { Answer, Listener, Server } from "./listener.ts";
import { sockets } from "./sockets.ts";
import { listenWithTls } from "./tls.ts";

/** A connection without a request is closed then. */
const IDLE_TIMEOUT_SECONDS = 120;

export async function listen(answer: Answer): Promise<Listener> {
  const { listen, tls } = settings();
  if (listen) return listenOnSocket(listen.slice("unix:".length), answer);
  const { host: hostname, port } = settings();
  const options = { ...common(answer), hostname };
  // with `development: false`, Bun lets a second server share the port (findings/bun-serve-shared-port.sh)
  const alone = () => Bun.serve({ ...options, port, reusePort: false });
  if (tls) {
    if (port > 0) await alone().stop(true); // only the next certificate's server may share it
    return listenWithTls((tls, port) => Bun.serve({ ...options, port, tls, reusePort: true }));
  }
  const server = alone();
  return { url: () => server.url, stop: (now) => server.stop(now) };
}

const common = (answer: Answer) => ({
  idleTimeout: 0,
  development: false, // Bun would show an exception with its source
  error: lastResort,
  ...(sockets && { websocket: sockets }), // a bundle without consoles has none
  maxRequestBodySize: Number.MAX_SAFE_INTEGER, // ours answers in the envelope, Bun's does not
  async fetch(request: Request, server: Server) {
    server.timeout(request, 0); // a wipe can last hours
    try {
      return await answer(request, server);
    } finally {
      server.timeout(request, IDLE_TIMEOUT_SECONDS);
    }
  },
});

/** Throws when calls from other machines would be anonymous or unencrypted. */
export async function checkSafe() {
  const { listen, host, tls, access } = settings();
  if (listen || isLoopback(host)) return;
  const usable = [...(await readTokens()).byHash.values()].some((token) => !expired(token));
  const missing = [
    ...(usable ? [] : [`a token in ${tokenFile()} (hypersdk token create NAME --role read)`]),
    ...(tls || access.proxies.length > 0 ? [] : ["[tls] cert and key, or [access] proxies"]),
  ];
  if (missing.length === 0) return;
  throw new Error(
    `a server on ${host} needs ${missing.join(", and ")}; without, host = "127.0.0.1" is for this machine's users`,
  );
}

/** The socket's permissions decide who may connect: its owner, and the configured group if it exists. */
async function listenOnSocket(path: string, fetch: Answer): Promise<Listener> {
  await removeStale(path);
  const before = process.umask(0o177); // no other user may connect, from the first moment
  try {
    const options = { ...common(fetch), unix: path };
    const server = Bun.serve(options as object as Bun.Serve.Options<unknown>); // its types know no idleTimeout here
    const { group } = settings().access;
    const { exitCode } = Bun.spawnSync(["chgrp", "--", group, path], { stderr: "ignore" });
    if (exitCode === 0) chmodSync(path, 0o660);
    else log.info(`${path}: for this user alone, since it cannot be given to the group ${group}`);
    return { url: () => server.url, stop: (now) => server.stop(now) };
  } finally {
    process.umask(before);
  }
}

/** Removes the socket that a killed server has left; a socket with a listener, or another file, stays. */
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
