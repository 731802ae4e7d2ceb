/** What the driver's errors become, by the driver itself and servers that answer as PostgreSQL does. */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { inspect } from "node:util";
import pg from "pg";
import { afterEach, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { optionsOf } from "../../../runtime/store/connection.ts";
import { databaseError } from "../../../runtime/store/errors.ts";

const PASSWORD = "Geheim-7%23";
const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A server that answers the first packet with these bytes, and hangs up. */
async function serving(answer: Buffer): Promise<string> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => socket.end(answer));
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  return `postgres://me:${PASSWORD}@127.0.0.1:${port}/db`;
}

/** An ErrorResponse (source: PostgreSQL, Message Formats). */
function failing(state: string): Buffer {
  const text = Buffer.from(`SFATAL\0C${state}\0Mno\0\0`);
  const head = Buffer.alloc(5, "E");
  head.writeInt32BE(text.length + 4, 1);
  return Buffer.concat([head, text]);
}

async function errorOf(url: string): Promise<unknown> {
  try {
    const client = new pg.Client(optionsOf(url));
    client.on("error", () => {});
    await client.connect();
    await client.end();
  } catch (error) {
    return databaseError(error);
  }
  throw new Error("it has connected");
}

async function expectReason(url: string, reason: string) {
  const error = await errorOf(url);
  expect(error).toMatchObject({
    code: "function_unavailable",
    status: 503,
    message: `the database is not available: ${reason}`,
  });
  const { cause } = error as HyperError;
  // what a caller sees, and what the log has
  for (const text of [inspect(error, { depth: 9 }), inspect(cause, { depth: 9 })]) {
    expect(text).not.toMatch(/Geheim/);
  }
}

const login = "it does not let this server log in; [database] url names the user and the password";
test.each([
  ["28P01", login],
  ["28000", login],
  ["3D000", "it has no database of the name in [database] url"],
  ["53100", "no space is left on its disk"],
  ["53300", "it has no connection left"],
  ["53200", "it has no memory or no resource left"],
  ["57P03", "it is starting or ending"],
  ["25006", "it only allows reading, as a standby server does"],
  ["08006", "the connection to it was lost"],
])("SQLSTATE %s: %s", async (state, reason) => {
  await expectReason(await serving(failing(state)), reason);
});

test("a server that hangs up", async () => {
  await expectReason(await serving(Buffer.alloc(0)), "the connection to it was lost");
});

test("a server with another way to log in, and a URL without a password", async () => {
  const url = await serving(Buffer.from("R\0\0\0\x08\0\0\0\x03", "latin1"));
  await expectReason(url.replace(`:${PASSWORD}`, ""), "the connection to it was lost");
});

test.each([
  [`postgres://me:${PASSWORD}@127.0.0.1:1/db`, "nothing listens at its address"],
  [`postgres://me:${PASSWORD}@/db?host=/nonexistent`, "its Unix socket is not there"],
  [`postgres://me:${PASSWORD}@[db/db`, "[database] url cannot be read"],
  [
    `postgres://me:${PASSWORD}@127.0.0.1:1/db?sslrootcert=/nonexistent`,
    "a file that [database] url names cannot be read",
  ],
  [
    `postgres://me:${PASSWORD}@127.0.0.1:1/db?sslrootcert=/`,
    "a file that [database] url names cannot be read",
  ],
])("%s", expectReason);

test("the error of a statement is its own", () => {
  const error = Object.assign(new Error("duplicate key"), { code: "23505" });
  expect(databaseError(error)).toBe(error);
  const known = new HyperError("not_found", "no such job");
  expect(databaseError(known)).toBe(known);
});
