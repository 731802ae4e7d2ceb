/** The router: the path of a file is its URL, and one that does not load takes no other down. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { log } from "../../../runtime/core/log.ts";
import { loadFunctions } from "../../../runtime/function/load.ts";
import { createRouter } from "../../../runtime/server/router.ts";
import { until } from "../../fixtures/fake.ts";
import { startServer } from "../../server.ts";

log.level = "silent";
const ROOT = join(import.meta.dirname, "../../..");
const runtime = (file: string) => pathToFileURL(join(ROOT, "runtime", file)).href;
/** A function as a person writes it, that says hello. `runtime` is the path to that folder. */
const hello = (runtime: string, extra = "") => `/** GET: says hello. */
import * as z from "${import.meta.resolve("zod")}";
import { defineFunction } from "${runtime}";
${extra}
export default defineFunction({
  method: "GET",
  access: "read",
  summary: "Say hello",
  input: z.strictObject({ name: z.string() }),
  output: z.object({ text: z.string() }),
  message: ({ text }) => text,
  run: async ({ name }) => ({ text: "Hello " + name }),
});
`;
const GOOD = hello(runtime("function/define.ts"));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "hypersdk-router-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A functions folder with these files, mounted. */
async function mounted(files: Record<string, string>) {
  const functions = mkdtempSync(join(folder, "functions-"));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(functions, name)), { recursive: true });
    writeFileSync(join(functions, name), text);
  }
  const logged = vi.spyOn(log, "error").mockImplementation(() => {});
  const loaded = await loadFunctions(functions);
  const router = createRouter(loaded);
  const reasons = logged.mock.calls.map(
    (call) => call[0] as unknown as { path: string; error: Error },
  );
  logged.mockRestore();
  const get = async (path: string, init?: RequestInit) => {
    const response = await router.fetch(new Request(`http://localhost${path}`, init));
    const text = await response.text();
    return {
      status: response.status,
      body: text ? JSON.parse(text) : text,
      headers: response.headers,
    };
  };
  return { loaded, reasons, get };
}

describe("a folder of functions", () => {
  test("the path of a file is its URL, beside a folder of the same name too", async () => {
    const { loaded, get } = await mounted({
      "hello.ts": GOOD,
      "a/thing.ts": GOOD,
      "a/thing/create-new_1.ts": GOOD,
      "a/notes.md": "# no function",
    });
    const paths = ["/a/thing", "/a/thing/create-new_1", "/hello"];
    expect(loaded.map(({ path }) => path).sort()).toEqual(paths);
    for (const path of paths) {
      expect(await get(`${path}?name=Ada`)).toMatchObject({
        status: 200,
        body: { status: "success", message: "Hello Ada", data: { text: "Hello Ada" } },
      });
    }
  });

  test("methods and errors are the function's own", async () => {
    const { get } = await mounted({ "hello.ts": GOOD });
    expect(await get("/hello")).toMatchObject({
      status: 400,
      body: { error: "name: required (string)" },
    });
    expect(await get("/hello?name=Ada", { method: "HEAD" })).toMatchObject({
      status: 200,
      body: "",
    });
    const { status, headers } = await get("/hello", { method: "DELETE" });
    expect([status, headers.get("Allow")]).toEqual([405, "GET, HEAD"]);
  });

  test.each(["/", "/nothing", "/hello/", "/hello/more", "/hello.ts", "/Hello", "//hello"])(
    "%s is no endpoint",
    async (path) => {
      const { get } = await mounted({ "hello.ts": GOOD });
      expect(await get(path)).toMatchObject({
        status: 404,
        body: {
          error: `no endpoint ${path}; GET /capabilities lists them`,
          code: "not_found",
          timestamp: expect.any(String),
        },
      });
    },
  );

  test.each<[string, string, RegExp]>([
    ["a syntax error", "export default {", /./],
    [
      "an import that throws",
      hello(runtime("function/define.ts"), 'throw new Error("no such luck");'),
      /no such luck/,
    ],
    ["an import that is not there", 'import "./nowhere.ts"; export default 1;', /nowhere/],
    ["no default export", "export const x = 1;", /not made by defineFunction/],
    ["another default export", "export default { fetch() {} };", /not made by defineFunction/],
    ["a plain function", "export default async () => 1;", /not made by defineFunction/],
    ["nothing in it", "", /not made by defineFunction/],
    ["no access", GOOD.replace('access: "read",', ""), /access: must be read, operate, admin/],
    ["another access", GOOD.replace('"read"', '"root"'), /access: must be read, operate, admin/],
  ])("%s is a 503 at its URL alone, with the reason in the log", async (_what, text, reason) => {
    const { loaded, reasons, get } = await mounted({ "broken.ts": text, "hello.ts": GOOD });
    for (const method of ["GET", "POST"]) {
      expect(await get("/broken", { method })).toMatchObject({
        status: 503,
        body: {
          error: "/broken did not load; the server's log says why",
          code: "function_unavailable",
        },
      });
    }
    expect(await get("/hello?name=Ada")).toMatchObject({ status: 200 });
    expect(reasons).toHaveLength(1);
    expect(reasons[0]?.path).toBe("/broken");
    expect(reasons[0]?.error.message).toMatch(reason);
    expect(loaded.find(({ path }) => path === "/broken")?.function).toBeUndefined();
  });

  test("a folder that is not there is said", async () => {
    await expect(loadFunctions(join(folder, "nowhere"))).rejects.toThrow("nowhere");
  });
});

describe("a file dropped into a copy of functions/", () => {
  const copy = () => {
    const root = mkdtempSync(join(folder, "copy-"));
    for (const name of ["functions", "runtime", "package.json"]) {
      cpSync(join(ROOT, name), join(root, name), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    mkdirSync(join(root, "functions/greet"));
    const file = join(root, "functions/greet/hello.ts");
    writeFileSync(file, hello("../../runtime/function/define.ts").replace(/"file:.*?"/, '"zod"'));
    return { root, file };
  };
  const env = { LIBVIRT_DEFAULT_URI: "test:///default", HYPERSDK_CONFIG: "" };

  test("is served with no other change, beside all the others", async () => {
    const { root } = copy();
    const server = await startServer(env, [join(root, "runtime/serve.ts")]);
    try {
      expect(await server.get("/greet/hello?name=Ada")).toMatchObject({
        status: 200,
        body: { status: "success", data: { text: "Hello Ada" } },
      });
      expect((await server.get("/health")).status).toBe(200);
      const { body } = await server.get("/capabilities");
      expect(body.data.functions).toContainEqual({
        path: "/greet/hello",
        method: "GET",
        summary: "Say hello",
        loaded: true,
      });
      expect(body.data.functions.length).toBeGreaterThan(10);
    } finally {
      await server.stop();
    }
  });

  test("one that does not load answers 503 with the first call and with later ones, and no other does", async () => {
    const { root, file } = copy();
    writeFileSync(file, "export default 7;\n");
    const server = await startServer(env, [join(root, "runtime/serve.ts")]);
    try {
      const refused = { status: 503, body: { code: "function_unavailable" } };
      expect(await server.get("/greet/hello")).toMatchObject(refused);
      expect((await server.get("/health")).status).toBe(200);
      expect((await server.get("/greet/hello/")).status).toBe(404); // asked of all, which have loaded by then
      expect(await server.get("/greet/hello")).toMatchObject(refused);
      // The log comes through a pipe, later than the answers.
      await until(() => server.log().includes("/greet/hello did not load"));
    } finally {
      await server.stop();
    }
  });

  test("serves itself when it is run", async () => {
    const { file } = copy();
    const server = await startServer(env, [file]);
    try {
      expect((await server.get("/?name=Ada")).body.data).toEqual({ text: "Hello Ada" });
      expect((await server.get("/greet/hello?name=Ada")).body.data).toEqual({ text: "Hello Ada" });
    } finally {
      await server.stop();
    }
  });
});
