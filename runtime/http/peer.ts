/** Where a request comes from, as the server's own socket tells. */
import { BlockList, isIP } from "node:net";
import { join, relative } from "node:path";
import { ownerOf } from "../access/socket-owner.ts";
import { settings } from "../core/settings.ts";

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
  /** The function's own path; empty where there is none. */
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
export function clientAddress(request: Request, { address = "unix", proxy }: Peer): string {
  const forwarded = proxy ? request.headers.get("X-Forwarded-For") : null;
  if (!forwarded) return address;
  const hops = forwarded.split(",").map((hop) => hop.trim());
  return hops.findLast((hop) => isIP(hop) > 0 && !isProxy(hop)) ?? address;
}

/** The user at the other end of a connection within this machine; undefined when nobody can tell. */
export function peerUser({ address = "", port, loopback }: Peer, { server }: Arrival) {
  if (!loopback) return undefined;
  const six = address.includes(":");
  const { port: to = 0, hostname: host = "" } = server;
  const ours = isLoopback(host) && host !== "localhost" && host.includes(":") === six;
  const own = ours ? host : six ? "::1" : "127.0.0.1";
  return ownerOf({ address, port }, { address: own, port: to });
}

// not asked of node:net where that can be helped: it takes a start 7 ms
export const isLoopback = (name: string) =>
  name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);

let proxies: BlockList | undefined;

function isProxy(address: string): boolean {
  if (settings().access.proxies.length === 0) return false;
  const family = isIP(address) === 6 ? "ipv6" : "ipv4";
  proxies ??= listed(settings().access.proxies);
  return proxies.check(address, family);
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
