/** `hypersdk console` through a server: at a terminal, forwarded to a port, and refused. */
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { hypersdk, LAUNCHER, onTerminal } from "../../cli.ts";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import { startServer, type TestServer } from "../../server.ts";

/** Serves the echo at the paths of consoles. */
const SERVE = join(import.meta.dirname, "../../fixtures/serve.ts");
let access: Guarded;
let server: TestServer;
let env: Record<string, string>;

beforeAll(async () => {
  access = guarded('hosts.local.uri = "test:///default"');
  const token = await access.token("ci", { role: "operate" });
  env = { HYPERSDK_TOKEN: token };
  server = await startServer(access.env, [SERVE]);
});
afterAll(async () => {
  await server.stop();
  access.remove();
});

test("a serial console at the terminal, until Ctrl-]", async () => {
  const argv = [LAUNCHER, "console", "web", "--server", server.url];
  const terminal = onTerminal(argv, { env });
  await terminal.shows("Ctrl-] ends");
  terminal.type("typed");
  await terminal.shows("typed");
  terminal.type("\x1d");
  expect(await terminal.ended).toBe(0);
  await terminal.close();
});

test("a screen behind a port of this machine, until Ctrl-C", async () => {
  const argv = [LAUNCHER, "console", "web", "--vnc", "--server", server.url];
  const terminal = onTerminal(argv, { env });
  await terminal.shows(/127\.0\.0\.1:\d+ .*Ctrl-C ends/);
  const port = Number(/127\.0\.0\.1:(\d+)/.exec(terminal.screen())?.[1]);
  const clients = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  for (const [i, client] of clients.entries()) {
    client.write(`client ${i}`);
    const [data] = await once(client, "data");
    expect(`${data}`).toBe(`client ${i}`);
  }
  const closed = clients.map((client) => once(client, "close"));
  terminal.type("\x03");
  expect(await terminal.ended).toBe(0);
  await Promise.all(closed);
  await terminal.close();
});

test("what a server refuses, and what is used wrongly", async () => {
  const refused = await hypersdk(["console", "gone", "--vnc", "--server", server.url], { env });
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/gone is not running \(not_active\)/),
  });
  const piped = await hypersdk(["console", "web", "--server", server.url], { env });
  expect(piped).toMatchObject({ code: 2, stderr: expect.stringMatching(/needs a terminal/) });
  const port = await hypersdk(["console", "web", "--vnc", "--port", "x"], { env });
  expect(port).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/--port: must be a number/),
  });
});
