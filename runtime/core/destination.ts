/**
 * Addresses of other people's servers, to which this one connects because a caller has named them. A name must be in an
 * allow-list, and the address that is connected to is one that was checked: a name that is looked up twice could be
 * another machine's the second time.
 */
import { lookup } from "node:dns/promises";
import { connect, isIP, type Socket } from "node:net";
import ipaddr from "ipaddr.js";
import { HyperError } from "./errors.ts";

/** What the configuration allows, and the section that says so, for messages. */
export interface Allowed {
  section: string;
  /** Host names; `*.example.com` stands for all below it. */
  hosts: string[];
  /** Addresses and networks that may be connected to although they are not public. */
  private: string[];
}

const LOOKUP_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 5000;

/** Without the brackets of an IPv6 address in a URL, and without the dot of a full name. */
const plain = (host: string) =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");

/** Throws `invalid_input` for a host that is not in the list. */
export function checkDestination(host: string, { section, hosts }: Allowed) {
  const name = plain(host);
  const isListed = hosts.map(plain).some((one) => {
    return one.startsWith("*.") ? name.endsWith(one.slice(1)) : name === one;
  });
  if (isListed) return;
  const text = `${JSON.stringify(name)} is not among the hosts in [${section}] hosts`;
  throw new HyperError("invalid_input", text);
}

/** A connection to a checked address of the host; the caller closes it. Throws `invalid_input` and `unreachable`. */
export async function connectTo(host: string, port: number, allowed: Allowed): Promise<Socket> {
  checkDestination(host, allowed);
  let failed: unknown;
  for (const address of await addressesOf(plain(host), allowed)) {
    try {
      return await open(address, port);
    } catch (error) {
      failed = error;
    }
  }
  throw failed;
}

/** Those that may be connected to. */
async function addressesOf(host: string, { section, private: networks }: Allowed) {
  const found = isIP(host) ? [host] : await look(host);
  const usable = found.filter((address) => isPublic(address) || isIn(address, networks));
  if (usable.length > 0) return usable;
  const text = `${JSON.stringify(host)} has the address ${found.join(", ")}, which is not public and not in [${section}] private`;
  throw new HyperError("invalid_input", text);
}

async function look(host: string): Promise<string[]> {
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error("timeout")), LOOKUP_TIMEOUT_MS).unref();
  });
  try {
    const found = await Promise.race([lookup(host, { all: true }), late]);
    return found.map(({ address }) => address);
  } catch (cause) {
    const text = `the address of ${JSON.stringify(host)} cannot be looked up`;
    throw new HyperError("unreachable", text, { cause });
  }
}

/** An IPv4 address within an IPv6 one is judged as what it is. */
export const isPublic = (address: string) => ipaddr.process(address).range() === "unicast";

export function isIn(address: string, networks: string[]): boolean {
  const one = ipaddr.process(address);
  return networks.some((network) => {
    const [base, bits] = network.includes("/")
      ? ipaddr.parseCIDR(network)
      : ([ipaddr.parse(network), 128] as const);
    if (one.kind() !== base.kind()) return false;
    return one.match(base, Math.min(bits, base.kind() === "ipv4" ? 32 : 128));
  });
}

function open(address: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port });
    const fail = (why: string, cause?: Error) => {
      socket.destroy();
      const text = `${address} port ${port} cannot be connected to: ${why}`;
      reject(new HyperError("unreachable", text, { cause }));
    };
    const late = setTimeout(() => fail("it does not answer"), CONNECT_TIMEOUT_MS);
    socket.once("error", (error: NodeJS.ErrnoException) => {
      clearTimeout(late);
      fail(error.code ?? "the connection failed", error);
    });
    socket.once("connect", () => {
      clearTimeout(late);
      socket.removeAllListeners("error");
      socket.on("error", () => {}); // whoever uses it hears of its end
      resolve(socket);
    });
  });
}
