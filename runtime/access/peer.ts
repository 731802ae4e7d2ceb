/** Where a request comes from, as the server's own socket tells. */
import { join, relative } from "node:path";
import ipaddr from "ipaddr.js";
import { settings } from "../context.ts";
import { ownerOf } from "./socket-table.ts";

/** What we ask of Bun's server, in types that stand without Bun's: other projects' scripts see them. */
export interface Server {
  readonly hostname?: string | undefined;
  readonly port?: number | undefined;
  readonly protocol: string | null;
  readonly url: URL;
  requestIP(request: Request): { address: string; port: number } | null;
}

/** A request's way to us, for the function that it has come to. */
export interface Arrival {
  server: Server;
  /** The function's own path. */
  path: string;
}

/** From a server alone: the function is what Bun was told to run. Undefined for a request of this process. */
export function arrivalOf(from: Server | Arrival | undefined): Arrival | undefined {
  if (!from || "path" in from) return from;
  const file = relative(join(import.meta.dirname, "../../functions"), Bun.main);
  return { server: from, path: `/${file.replace(/^(\.\.\/)+/, "").replace(/\.ts$/, "")}` };
}

export interface Peer {
  /** Undefined on a Unix socket. */
  address: string | undefined;
  port: number;
  /** From this machine, over the loopback interface. */
  loopback: boolean;
  /** One of the configured proxies: what it forwards is somebody else's. */
  proxy: boolean;
}

/** Undefined when the connection is closed by now. */
export function peerOf(request: Request, { server }: Arrival): Peer | undefined {
  if (server.port === undefined)
    return { address: undefined, port: 0, loopback: false, proxy: false };
  const found = server.requestIP(request);
  if (!found) return undefined;
  const address = found.address.replace(/^::ffff:(?=\d+\.)/i, "");
  return { address, port: found.port, loopback: isLoopback(address), proxy: isProxy(address) };
}

/** The address that a call is logged under and limited by: the caller's that a proxy tells, else the peer's. */
export function clientAddress(request: Request, { address, proxy }: Peer): string {
  const forwarded = proxy ? request.headers.get("X-Forwarded-For") : null;
  const hops = (forwarded ?? "").split(",").map((hop) => hop.trim());
  const client = hops.findLast((hop) => ipaddr.isValid(hop) && !isProxy(hop));
  return client ?? address ?? "unix";
}

/** The user at the other end of a connection within this machine; undefined when nobody can tell. */
export function peerUser({ address = "", port, loopback }: Peer, { server }: Arrival) {
  if (!loopback) return undefined;
  const six = address.includes(":");
  const own = server.hostname ?? "";
  const ours =
    ipaddr.isValid(own) && isLoopback(own) && own.includes(":") === six ? own : undefined;
  const to = { address: ours ?? (six ? "::1" : "127.0.0.1"), port: server.port ?? 0 };
  return ownerOf({ address, port }, to);
}

export function isLoopback(address: string): boolean {
  if (address === "localhost") return true;
  return ipaddr.isValid(address) && ipaddr.process(address).range() === "loopback";
}

function isProxy(address: string): boolean {
  const { proxies } = settings().access;
  if (proxies.length === 0 || !ipaddr.isValid(address)) return false;
  const one = ipaddr.process(address);
  return proxies.some((proxy) => {
    const [network, prefix] = proxy.includes("/")
      ? ipaddr.parseCIDR(proxy)
      : [ipaddr.parse(proxy), proxy.includes(":") ? 128 : 32];
    return network.kind() === one.kind() && one.match(network, prefix);
  });
}
