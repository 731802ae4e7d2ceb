/** To which addresses this server connects because somebody has named them. */
import { createServer } from "node:net";
import { expect, test } from "vitest";
import { checkDestination, connectTo, isIn, isPublic } from "../../../runtime/core/destination.ts";

const allowed = (hosts: string[], networks: string[] = []) => ({
  ...{ section: "notifications", hosts, private: networks },
});

test.each([
  ["hooks.example.com", ["hooks.example.com"]],
  ["HOOKS.example.com.", ["hooks.example.com"]],
  ["a.b.example.com", ["*.example.com"]],
  ["[::1]", ["::1"]],
  ["10.0.0.1", ["10.0.0.1"]],
])("%s is allowed by %j", (host, hosts) => checkDestination(host, allowed(hosts)));

test.each([
  ["hooks.example.com", []],
  ["example.com", ["*.example.com"]],
  ["badexample.com", ["*.example.com"]],
  ["example.com.evil.org", ["example.com", "*.example.com"]],
  ["10.0.0.2", ["10.0.0.1"]],
])("%s is not allowed by %j", (host, hosts) => {
  expect(() => checkDestination(host, allowed(hosts))).toThrow(/\[notifications\] hosts$/);
});

test.each([
  ...["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1"],
  ...["0.0.0.0", "224.0.0.1", "255.255.255.255", "192.0.2.1", "::", "::1", "fe80::1", "fd00::1"],
  ...["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::1", "ff02::1"],
  ...["127.8.8.8", "172.31.255.255", "198.18.0.1", "2001::1", "2001:db8::1", "fec0::1"],
])("%s is not public", (address) => expect(isPublic(address)).toBe(false));

test.each([
  "1.1.1.1",
  "93.184.216.34",
  "2606:4700:4700::1111",
  "::ffff:1.1.1.1",
  "172.32.0.1",
  "100.63.0.1",
])("%s is public", (address) => expect(isPublic(address)).toBe(true));

test("a network holds its addresses, however they are written", () => {
  expect(isIn("10.1.2.3", ["10.0.0.0/8"])).toBe(true);
  expect(isIn("::ffff:10.1.2.3", ["10.0.0.0/8"])).toBe(true);
  expect(isIn("11.1.2.3", ["10.0.0.0/8", "10.0.0.1", "::/0"])).toBe(false);
  expect(isIn("10.0.0.1", ["10.0.0.1"])).toBe(true);
  expect(isIn("fd00::5", ["fd00::/8"])).toBe(true);
  expect(isIn("fd00::5", ["fd00::6"])).toBe(false);
});

test("a name whose address is private is refused, unless that is allowed", async () => {
  const server = createServer((socket) => socket.end());
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port));
  });
  const refused = connectTo("localhost", port, allowed(["localhost"]));
  await expect(refused).rejects.toThrow(
    /which is not public and not in \[notifications\] private$/,
  );
  const socket = await connectTo("localhost", port, allowed(["localhost"], ["127.0.0.0/8"]));
  expect(socket.remoteAddress).toBe("127.0.0.1");
  socket.destroy();
  server.close();
});

test("a host that is unknown or closed is unreachable", async () => {
  const unknown = connectTo("no-such-host.invalid", 1, allowed(["*.invalid"]));
  await expect(unknown).rejects.toMatchObject({ code: "unreachable" });
  const closed = connectTo("127.0.0.1", 1, allowed(["127.0.0.1"], ["127.0.0.1"]));
  await expect(closed).rejects.toMatchObject({ code: "unreachable" });
});
