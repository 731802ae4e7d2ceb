/** Whose a TCP socket is: the kernel's answer, in both ways to ask it. */

import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  type Address,
  fromProc,
  openNetlink,
  ownerOf,
} from "../../../runtime/access/socket-owner.ts";

const me = process.getuid?.();
const v4 = createServer({ allowHalfOpen: true });
const dual = createServer();
const held: Socket[] = [];

beforeAll(async () => {
  for (const [server, host] of [
    [v4, "127.0.0.1"],
    [dual, "::"],
  ] as const) {
    server.on("connection", (socket) => held.push(socket));
    server.listen(0, host);
    await once(server, "listening");
  }
});
afterAll(() => {
  for (const socket of held) socket.destroy();
  v4.close();
  dual.close();
});

/** A connection to there, and its two ends as its server sees them. */
async function connected(port: number, host: string) {
  const socket = connect(port, host);
  held.push(socket);
  await once(socket, "connect");
  const local: Address = { address: `${socket.localAddress}`, port: socket.localPort as number };
  const remote: Address = { address: `${socket.remoteAddress}`, port };
  return { socket, local, remote };
}
const portOf = (server: typeof v4) => (server.address() as AddressInfo).port;

describe.each([
  ["netlink", openNetlink()],
  ["/proc", fromProc],
] as const)("%s", (_name, ask) => {
  test("IPv4, IPv6", async () => {
    const four = await connected(portOf(v4), "127.0.0.1");
    expect(ask(four.local, four.remote)).toBe(me);
    const six = await connected(portOf(dual), "::1");
    expect(ask(six.local, six.remote)).toBe(me);
  });

  test("an IPv4 connection that its client holds as an IPv6 socket", async () => {
    const { local, remote } = await connected(portOf(dual), "::ffff:127.0.0.1");
    const plain = (one: Address) => ({ ...one, address: one.address.replace(/^::ffff:/, "") });
    expect(ask(plain(local), plain(remote))).toBe(me);
  });

  test("the server's own end is another socket, and none is none", async () => {
    const { local, remote } = await connected(portOf(v4), "127.0.0.1");
    expect(ask(local, { ...remote, port: 1 })).toBeUndefined();
    expect(ask({ ...local, port: 1 }, remote)).toBeUndefined();
    expect(ask({ ...local, address: "127.0.0.2" }, remote)).toBeUndefined();
  });

  test("one that its client has closed is nobody's: the kernel would say root's", async () => {
    const { socket, local, remote } = await connected(portOf(v4), "127.0.0.1");
    socket.destroy();
    await once(socket, "close");
    expect(ask(local, remote)).toBeUndefined();
  });
});

test("both agree on many connections, one of which is asked for", async () => {
  const all = await Promise.all(
    Array.from({ length: 50 }, () => connected(portOf(v4), "127.0.0.1")),
  );
  for (const { local, remote } of all) expect(ownerOf(local, remote)).toBe(me);
  expect(fromProc(all[25]?.local as Address, all[25]?.remote as Address)).toBe(me);
});
