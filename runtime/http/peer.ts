/** Where a request comes from, as the server's own socket tells. */
import { BlockList, isIP } from "node:net";
import { ownerOf } from "../access/socket-owner.ts";

/** The part of Bun's server that is used here, in types of our own: scripts of other projects see them without Bun's. */
export interface Server {
  readonly hostname?: string | undefined;
  readonly port?: number | undefined;
  readonly protocol: string | null;
  readonly url: URL;
  /** Ends the connection after so many seconds without a byte. */
  timeout?(request: Request, seconds: number): void;
  requestIP(request: Request): { address: string; port: number } | null;
  /** Makes the request's connection a WebSocket; false if it is none. */
  upgrade(request: Request, options: { data: never; headers?: Record<string, string> }): boolean;
}

/** A request's way to us, for the function that it has come to. */
export interface Arrival {
  server: Server;
  /** The function's own path; empty where there is none. */
  path: string;
}

export interface Peer {
  /** Undefined on a Unix socket. */
  address: string | undefined;
  port: number;
  /** From this machine, over the loopback interface. */
  loopback: boolean;
  /** One of the configured proxies, which forwards the calls of others. */
  proxy: boolean;
}

/** Bun's server forgets its port when it is told to stop, while requests still come over open connections. */
const ports = new WeakMap<Server, number>();

/** Undefined for a server on a Unix socket. */
function portOf(server: Server): number | undefined {
  if (server.port) ports.set(server, server.port);
  return ports.get(server) ?? server.port;
}

/** Undefined when the connection is closed by now. */
export function peerOf(request: Request, { server }: Arrival, proxies: string[]): Peer | undefined {
  if (portOf(server) === undefined)
    return { address: undefined, port: 0, loopback: false, proxy: false };
  const found = server.requestIP(request);
  if (!found) return undefined;
  const address = found.address.replace(/^::ffff:(?=\d+\.)/i, "");
  const proxy = isProxy(address, proxies);
  return { address, port: found.port, loopback: isLoopback(address), proxy };
}

/** The address for the log and the limits: the one that a proxy has forwarded, else the peer's. */
export function clientAddress(
  request: Request,
  { address = "unix", proxy }: Peer,
  proxies: string[],
): string {
  const forwarded = proxy ? request.headers.get("X-Forwarded-For") : null;
  if (!forwarded) return address;
  const hops = forwarded.split(",").map((hop) => hop.trim());
  return hops.findLast((hop) => isIP(hop) > 0 && !isProxy(hop, proxies)) ?? address;
}

/** The user at the other end of a connection within this machine; undefined when the kernel does not tell. */
export function peerUser({ address = "", port, loopback }: Peer, { server }: Arrival) {
  if (!loopback) return undefined;
  const six = address.includes(":");
  const { hostname: host = "" } = server;
  const ours = isLoopback(host) && host !== "localhost" && host.includes(":") === six;
  const own = ours ? host : six ? "::1" : "127.0.0.1";
  return ownerOf({ address, port }, { address: own, port: portOf(server) ?? 0 });
}

export const isLoopback = (name: string) =>
  name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);

function isProxy(address: string, proxies: string[]): boolean {
  if (proxies.length === 0) return false;
  return listed(proxies).check(address, isIP(address) === 6 ? "ipv6" : "ipv4");
}

function listed(proxies: string[]): BlockList {
  const list = new BlockList();
  for (const proxy of proxies) {
    const [network = "", prefix] = proxy.split("/");
    const family = isIP(network) === 6 ? "ipv6" : "ipv4";
    if (prefix) list.addSubnet(network, Number(prefix), family);
    else list.addAddress(network, family);
  }
  return list;
}
