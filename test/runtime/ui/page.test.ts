/** The page as it is served: its policy, its size, and that its sources reach the server through the typed client alone. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";
import { beforeAll, expect, test } from "vitest";
import { loadFunctions } from "../../../runtime/function/load.ts";
import { createRouter, type Router } from "../../../runtime/server/router.ts";

const PAGE = join(import.meta.dirname, "../../../runtime/ui/page");
const MAX_COMPRESSED = 250_000;

let router: Router;
beforeAll(async () => {
  router = createRouter(await loadFunctions());
});
const get = async (path: string) => {
  const response = await router.fetch(new Request(`http://localhost${path}`));
  return { status: response.status, headers: response.headers, text: await response.text() };
};

test("it is the same at / and /ui, with nothing inline and a policy that allows nothing from outside", async () => {
  const [root, ui] = await Promise.all([get("/"), get("/ui")]);
  expect([root.status, ui.text]).toEqual([200, root.text]);
  const policy = root.headers.get("Content-Security-Policy") ?? "";
  expect(policy).toMatch(/^default-src 'none'; script-src 'self'; style-src 'self';/);
  expect(policy).not.toMatch(/unsafe|https?:|\*/);
  expect(root.text).not.toMatch(/<style|<script(?![^>]+src=)|\son\w+=|style=/);
  expect(root.headers.get("X-Frame-Options")).toBe("DENY");
});

test("its script and style are found where it says, are kept by their version, and are small", async () => {
  const { text } = await get("/");
  const parts = [...text.matchAll(/(?:src|href)="(ui\/[^"]+)"/g)].map(([, path]) => `/${path}`);
  const [style, script] = await Promise.all(parts.map(get));
  expect(style?.headers.get("Content-Type")).toMatch(/^text\/css/);
  expect(script?.headers.get("Content-Type")).toMatch(/^text\/javascript/);
  for (const one of [style, script]) {
    expect(one?.status).toBe(200);
    expect(one?.headers.get("Cache-Control")).toContain("immutable");
  }
  const size = gzipSync(`${script?.text}`).length + gzipSync(`${style?.text}`).length;
  expect(size).toBeLessThan(MAX_COMPRESSED);
  expect(script?.text).not.toMatch(/\beval\(|new Function\(/);
  for (const path of [
    "/ui/script",
    "/ui/script?v=0123456789abcdef",
    "/ui/style?v=0123456789abcdef",
  ])
    expect((await get(path)).headers.get("Cache-Control"), path).toBe("no-cache");
});

test("its sources import the typed client of the runtime, and no other part of it", () => {
  const files = readdirSync(PAGE, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.tsx?$/.test(name),
  );
  const outside = files.flatMap((file) => {
    const source = readFileSync(join(PAGE, file), "utf8");
    const imports = [...source.matchAll(/from "(\.[^"]+)"/g)].map(([, name]) =>
      normalize(join("ui/page", dirname(file), `${name}`)),
    );
    return imports.filter((name) => !name.startsWith("ui/page/"));
  });
  expect([...new Set(outside)]).toEqual(["client/client.ts"]);
  const calls = files.filter((file) => /\bfetch\(/.test(readFileSync(join(PAGE, file), "utf8")));
  expect(calls).toEqual(["state/client.ts"]);
});
