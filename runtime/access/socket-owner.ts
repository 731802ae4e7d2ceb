/**
 * The owner of a TCP socket of this machine, from the kernel through a netlink socket, as `ss` asks, in some
 * microseconds. /proc/net/tcp holds the same, and takes milliseconds to read where there is much memory.
 */
import { readFileSync } from "node:fs";
import { log } from "../core/log.ts";

export interface Address {
  address: string;
  port: number;
}

/** The user of the socket that is bound to `local` and connected to `remote`; undefined when there is none. */
export function ownerOf(local: Address, remote: Address): number | undefined {
  // a kernel that lacks the module for it answers as if there were no such socket
  return netlink()?.(local, remote) ?? fromProc(local, remote);
}

type Ask = typeof ownerOf;

let opened: { ask: Ask | undefined } | undefined;

function netlink(): Ask | undefined {
  if (!opened) {
    try {
      opened = { ask: openNetlink() };
    } catch (error) {
      log.info({ error }, "no netlink: peers are looked up in /proc/net/tcp, which is slower");
      opened = { ask: undefined };
    }
  }
  return opened.ask;
}

/** `struct inet_diag_req_v2` behind a header; the answer is an `inet_diag_msg` behind another. */
const REQUEST = 72;
const HEADER = 16;
const SOCK_DIAG_BY_FAMILY = 20;

export function openNetlink(): Ask {
  const { dlopen, ptr } = require("bun:ffi") as typeof import("bun:ffi"); // with its first use
  const int = "i32";
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: [int, int, int], returns: int },
    send: { args: [int, "ptr", "usize", int], returns: int },
    recv: { args: [int, "ptr", "usize", int], returns: int },
  });
  const [AF_NETLINK, SOCK_DGRAM, SOCK_CLOEXEC, SOCK_DIAG, MSG_DONTWAIT] = [16, 2, 0x80000, 4, 0x40];
  const fd = symbols.socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, SOCK_DIAG);
  if (fd < 0) throw new Error("no netlink socket");
  // on memory that stays where it is
  const [request, answer] = [
    new DataView(new ArrayBuffer(REQUEST)),
    new DataView(new ArrayBuffer(4096)),
  ];
  const [asked, answered] = [ptr(request), ptr(answer)];
  writeHead(request);
  let sequence = 0;
  let [from, to] = ["", ""];
  return (local, remote) => {
    sequence = (sequence + 1) % 2 ** 32;
    request.setUint32(8, sequence, true);
    request.setUint16(HEADER + 8, local.port);
    request.setUint16(HEADER + 10, remote.port);
    // nearly always those of the call before
    if (from !== local.address || to !== remote.address) {
      writeAddresses(request, local.address, remote.address);
      [from, to] = [local.address, remote.address];
    }
    if (symbols.send(fd, asked, REQUEST, 0) < 0) return undefined;
    // the kernel has answered before `send` returns; an answer to another question is none
    const length = symbols.recv(fd, answered, answer.byteLength, MSG_DONTWAIT);
    if (length < HEADER + 72 || answer.getUint16(4, true) !== SOCK_DIAG_BY_FAMILY) return undefined;
    if (answer.getUint32(8, true) !== sequence) return undefined;
    return owned(answer.getUint32(HEADER + 68, true), answer.getUint32(HEADER + 64, true));
  };
}

/** The fields that are the same in every request, little-endian as this machine is. */
function writeHead(request: DataView) {
  const [IPPROTO_TCP, NLM_F_REQUEST] = [6, 1];
  request.setUint32(0, REQUEST, true);
  request.setUint16(4, SOCK_DIAG_BY_FAMILY, true);
  request.setUint16(6, NLM_F_REQUEST, true);
  request.setUint8(HEADER + 1, IPPROTO_TCP);
  request.setUint32(HEADER + 4, 0xffffffff, true); // in any state
  request.setBigUint64(HEADER + 48, 2n ** 64n - 1n); // no cookie
}

function writeAddresses(request: DataView, local: string, remote: string) {
  const [AF_INET, AF_INET6] = [2, 10];
  request.setUint8(HEADER, local.includes(":") ? AF_INET6 : AF_INET);
  const room = new Uint8Array(request.buffer, HEADER + 12, 32).fill(0);
  room.set(bytes(local), 0);
  room.set(bytes(remote), 16);
}

/** A closed socket has inode 0 and reports uid 0, so it must not be trusted. */
const owned = (inode: number, uid: number) => (inode === 0 ? undefined : uid);

/** The same from /proc, where netlink is not to be had. */
export function fromProc(local: Address, remote: Address): number | undefined {
  const table = local.address.includes(":") ? ["tcp6"] : ["tcp", "tcp6"];
  for (const name of table) {
    const mapped = name === "tcp6" && !local.address.includes(":");
    const wanted = [local, remote].map((one) => hexadecimal(one, mapped)).join(" ");
    for (const line of readFileSync(`/proc/net/${name}`, "latin1").split("\n")) {
      const at = line.indexOf(": ");
      if (at < 0 || !line.startsWith(wanted, at + 2)) continue;
      // after the two addresses: state, queues, timer, retransmissions, user, timeout, inode
      const [, , , , uid, , inode] = line
        .slice(at + 3 + wanted.length)
        .trim()
        .split(/\s+/);
      return owned(Number(inode), Number(uid));
    }
  }
  return undefined;
}

/** Of the loopback interface, so there are no others: `::1`, and 127 with three numbers behind it. */
const bytes = (address: string) =>
  address === "::1" ? [...ZEROS, ...ZEROS.slice(1), 1] : address.split(".").map(Number);
const ZEROS = new Array<number>(8).fill(0);

/** As /proc/net/tcp writes an address: words of 32 bits, each in this machine's order. */
function hexadecimal({ address, port }: Address, mapped: boolean): string {
  const all = mapped ? [...ZEROS, 0, 0, 255, 255, ...bytes(address)] : bytes(address);
  const words = Buffer.from(all).swap32().toString("hex").toUpperCase();
  return `${words}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
}
