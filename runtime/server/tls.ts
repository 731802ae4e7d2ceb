/** TLS from certificate files, which are read again when they change. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import type { Listener, Server } from "./listener.ts";

const CHECK_INTERVAL_MS = 2000;

export interface Tls {
  cert: string;
  key: string;
  ca?: string;
  requestCert?: boolean;
  rejectUnauthorized?: boolean;
}

/**
 * Bun cannot change the certificate of a server that listens, so another one listens beside it, and the
 * first takes no more connections. Those that it has go on.
 */
export function listenWithTls(start: (tls: Tls, port: number) => Server): Listener {
  let stamp = stampOf();
  let server = start(read(), settings().port);
  const look = setInterval(() => {
    try {
      if (stamp === stampOf()) return;
      stamp = stampOf();
      const next = start(read(), server.port ?? 0);
      void server.stop();
      server = next;
      log.info("the TLS certificate was read again");
    } catch (error) {
      log.error({ error }, "the new TLS certificate cannot be used; the one before stays");
    }
  }, CHECK_INTERVAL_MS);
  look.unref();
  const stop = (now?: boolean) => {
    clearInterval(look);
    return server.stop(now);
  };
  return { url: () => server.url, stop };
}

function files(): string[] {
  const { cert, key, client_ca } = settings().tls ?? { cert: "", key: "" };
  return [cert, key, ...(client_ca ? [client_ca] : [])];
}

const stampOf = () =>
  files()
    .map((path) => statSync(path))
    .map(({ ino, mtimeMs, size }) => `${ino} ${mtimeMs} ${size}`)
    .join();

/** Throws when the key is not the certificate's. */
function read(): Tls {
  const [cert = "", key = "", ca] = files().map((path) => readFileSync(path, "utf8"));
  if (!new X509Certificate(cert).checkPrivateKey(createPrivateKey(key)))
    throw new Error("[tls] key is not the key of cert");
  return { cert, key, ...(ca && { ca, requestCert: true, rejectUnauthorized: true }) };
}
