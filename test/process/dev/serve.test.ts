/** `npm run dev` serves what is in the files now, new ones included. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";
import { copyOfRepository } from "./copy.ts";

vi.setConfig({ testTimeout: slow(60_000) });

const { root, remove } = copyOfRepository();
const health = join(root, "functions/health.ts");

let server: TestServer;
let port: string;
beforeAll(async () => {
  // a port of its own, since it must stay the same after a restart
  const probe = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
  port = `${probe.port}`;
  await probe.stop(true);
  const env = { PORT: port, LIBVIRT_DEFAULT_URI: "test:///default", HYPERSDK_CONFIG: "" };
  server = await startServer(env, [join(root, "runtime/dev/serve.ts")]);
}, slow(60_000));
afterAll(async () => {
  await server.stop();
  remove();
});

/** Asks until the answer is as wanted; the server is away while it restarts. */
async function answers(path: string, wanted: (status: number, text: string) => boolean) {
  let last = "";
  for (const end = Date.now() + 40_000; Date.now() < end; await sleep(50)) {
    try {
      const response = await fetch(server.url + path);
      last = await response.text();
      if (wanted(response.status, last)) return;
    } catch (error) {
      last = `${error}`;
    }
  }
  throw new Error(`${path}: ${last}\n${server.log()}`);
}

test("an edit is served", async () => {
  const text = readFileSync(health, "utf8");
  writeFileSync(health, text.replace("The process is up", "Edited"));
  await answers("/health", (_, body) => body.includes('"Edited"'));
});

test("a new file in a new folder is served and in the typed client, until it is removed", async () => {
  const api = () => readFileSync(join(root, "runtime/client/api.ts"), "utf8");
  const file = join(root, "functions/new/fresh.ts");
  const text = readFileSync(health, "utf8").replace("GET /health", "GET /new/fresh");
  mkdirSync(dirname(file));
  writeFileSync(file, text);
  await answers("/new/fresh", (status) => status === 200);
  expect(api()).toContain('"GET /new/fresh"');
  rmSync(file);
  await answers("/new/fresh", (status) => status === 404);
  expect(api()).not.toContain('"GET /new/fresh"');
});

test("an edit that breaks the host is told, and the next one is served", async () => {
  const file = join(root, "runtime/serve.ts");
  const text = readFileSync(file, "utf8");
  writeFileSync(file, `throw new Error("broken on purpose");\n${text}`);
  for (let i = 0; !server.log().includes("the server has ended") && i < 400; i++) await sleep(50);
  expect(server.log()).toContain("the server has ended");
  writeFileSync(file, text);
  await answers("/health", (status) => status === 200);
});

test("it ends with its server", async () => {
  await server.stop();
  await expect(fetch(`http://127.0.0.1:${port}/health`)).rejects.toThrow();
});
