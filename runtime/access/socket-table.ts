/**
 * Whose a TCP socket of this machine is: asked of the kernel through a netlink socket, as `ss` does, in some
 * microseconds. /proc/net/tcp holds the same, and takes milliseconds to read where there is much memory.
 */
import { dlopen, ptr } from "bun:ffi";
import { readFileSync } from "node:fs";
import ipaddr from "ipaddr.js";
import { log } from "../log.ts";

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
  const int = "i32";
  const { symbols } = dlopen("libc.so.6", {
    socket: { args: [int, int, int], returns: int },
    send: { args: [int, "ptr", "usize", int], returns: "i64" },
    recv: { args: [int, "ptr", "usize", int], returns: "i64" },
  });
  const [AF_NETLINK, SOCK_DGRAM, SOCK_CLOEXEC, SOCK_DIAG, MSG_DONTWAIT] = [16, 2, 0x80000, 4, 0x40];
  const fd = symbols.socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, SOCK_DIAG);
  if (fd < 0) throw new Error("no netlink socket");
  // on memory that stays where it is
  const [request, answer] = [
    Buffer.from(new ArrayBuffer(REQUEST)),
    Buffer.from(new ArrayBuffer(4096)),
  ];
  const [asked, answered] = [ptr(request), ptr(answer)];
  let sequence = 0;
  return (local, remote) => {
    sequence = (sequence + 1) % 2 ** 32;
    writeRequest(request, sequence, local, remote);
    if (symbols.send(fd, asked, REQUEST, 0) < 0) return undefined;
    // the kernel has answered before `send` returns; an answer to another question is none
    const length = Number(symbols.recv(fd, answered, answer.length, MSG_DONTWAIT));
    if (length < HEADER + 72 || answer.readUInt16LE(4) !== SOCK_DIAG_BY_FAMILY) return undefined;
    if (answer.readUInt32LE(8) !== sequence) return undefined;
    const [uid, inode] = [answer.readUInt32LE(HEADER + 64), answer.readUInt32LE(HEADER + 68)];
    return owned(inode, uid);
  };
}

function writeRequest(request: Buffer, sequence: number, local: Address, remote: Address) {
  const [AF_INET, AF_INET6, IPPROTO_TCP, NLM_F_REQUEST] = [2, 10, 6, 1];
  request.fill(0);
  request.writeUInt32LE(REQUEST, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  request.writeUInt32LE(sequence, 8);
  request[HEADER] = local.address.includes(":") ? AF_INET6 : AF_INET;
  request[HEADER + 1] = IPPROTO_TCP;
  request.writeUInt32LE(0xffffffff, HEADER + 4); // in any state
  request.writeUInt16BE(local.port, HEADER + 8);
  request.writeUInt16BE(remote.port, HEADER + 10);
  request.set(bytes(local.address), HEADER + 12);
  request.set(bytes(remote.address), HEADER + 28);
  request.fill(0xff, HEADER + 48); // no cookie
}

/** In any state but closed: a socket that nobody holds any more has no inode, and says that it is root's. */
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

/** IPv4 without a parser: this is done for each call. */
const bytes = (address: string) =>
  address.includes(":") ? ipaddr.parse(address).toByteArray() : address.split(".").map(Number);

/** As /proc/net/tcp writes an address: words of 32 bits, each in this machine's order. */
function hexadecimal({ address, port }: Address, mapped: boolean): string {
  const all = mapped ? [...bytes("::ffff:0:0").slice(0, 12), ...bytes(address)] : bytes(address);
  const words = Buffer.from(all).swap32().toString("hex").toUpperCase();
  return `${words}:${port.toString(16).toUpperCase().padStart(4, "0")}`;
}
