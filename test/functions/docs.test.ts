/** GET /docs: the page as it is served; test/live/docs.test.ts opens it in a browser. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FUNCTIONS } from "../../runtime/function/load.ts";
import { startServer, type TestServer } from "../server.ts";

const env = { LIBVIRT_DEFAULT_URI: "test:///default" };

let server: TestServer;
let response: Response;
let page: string;
beforeAll(async () => {
  server = await startServer(env);
  response = await fetch(`${server.url}/docs`);
  page = await response.text();
});
afterAll(() => server.stop());

test("it is a page, which no other site may frame", () => {
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
  expect(response.headers.get("x-frame-options")).toBe("DENY");
  expect(response.headers.get("x-content-type-options")).toBe("nosniff");
  expect(page).toMatch(/^<!doctype html>\n.*<title>HyperSDK Functions<\/title>/s);
});

test("it has everything in it, and runs nothing but that", () => {
  const parts = (name: string) =>
    [...page.matchAll(new RegExp(`<${name}>(.*?)</${name}>`, "gs"))].map(([, text]) => `${text}`);
  const [, policy = ""] = page.match(/http-equiv="Content-Security-Policy" content="(.*?)"/) ?? [];
  const hashes = (texts: string[]) =>
    texts.map((text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`);
  const [program = "", start = "", ...more] = parts("script");
  expect([program.length > 1e6, start.includes("openapi.json"), more]).toEqual([true, true, []]);
  expect(policy.split("; ")).toEqual([
    "default-src 'none'",
    `script-src ${hashes([program, start]).join(" ")}`,
    `style-src ${hashes(parts("style")).join(" ")}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ]);
  const shell = page.replace(/<(script|style)>.*?<\/\1>/gs, "");
  expect(shell).not.toMatch(/https?:|src=/);
});

test("what is wrong is answered in the envelope", async () => {
  const { status, body } = await server.get("/docs?colour=red");
  expect([status, body.code]).toEqual([400, "invalid_input"]);
  expect((await server.post("/docs", {})).status).toBe(405);
});

test("its file serves itself", async () => {
  const alone = await startServer(env, [join(FUNCTIONS, "docs.ts")]);
  try {
    expect(await (await fetch(alone.url)).text()).toBe(page);
  } finally {
    await alone.stop();
  }
});
