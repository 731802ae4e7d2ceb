/** `hypersdk new`: what it makes passes all checks at once. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, test, vi } from "vitest";
import { slow } from "../../fixtures/slowness.ts";
import { copyOfRepository } from "./copy.ts";

vi.setConfig({ testTimeout: slow(120_000) });

const { root, remove } = copyOfRepository();
afterAll(remove);

function run(...argv: string[]) {
  const env = { ...process.env, LIBVIRT_DEFAULT_URI: "test:///default", HYPERSDK_CONFIG: "" };
  const ran = spawnSync(process.execPath, argv, {
    cwd: root,
    env,
    encoding: "utf8",
    timeout: 100_000,
  });
  return { code: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}
const hypersdk = (...words: string[]) => run("runtime/cli/main.ts", ...words);
const api = () => readFileSync(join(root, "runtime/client/api.ts"), "utf8");

test("functions of each kind, their tests and types", () => {
  const made = hypersdk("new", "libvirt/domain/poke", "--method", "POST", "--access", "admin");
  expect(made).toMatchObject({
    code: 0,
    stdout:
      "functions/libvirt/domain/poke.ts\ntest/functions/libvirt/domain/poke.test.ts\nruntime/client/api.ts\n",
  });
  expect(hypersdk("new", "libvirt/network/age")).toMatchObject({ code: 0 });
  expect(hypersdk("new", "/functions/libvirt/pool/x-y.ts")).toMatchObject({ code: 0 });
  expect(hypersdk("new", "libvirt/pool/query", "--method", "GET,POST")).toMatchObject({ code: 0 });
  expect(hypersdk("new", "agent", "--summary", "Show the agent")).toMatchObject({ code: 0 });
  expect(api()).toContain('"POST /libvirt/domain/poke"');
  expect(api()).toContain('"GET /libvirt/pool/x-y"');
  expect(api()).toContain('"GET /libvirt/pool/query"');
  expect(api()).toContain('"POST /libvirt/pool/query"');

  expect(run("node_modules/.bin/biome", "check", "functions", "test/functions")).toMatchObject({
    code: 0,
  });
  expect(run("node_modules/.bin/tsc")).toMatchObject({ code: 0, stdout: "" });
  const names = [
    "contract",
    "client/api",
    "domain/poke",
    "network/age",
    "pool/x-y",
    "pool/query",
    "agent.test",
  ];
  const tests = run(
    "--bun",
    "run",
    "vitest",
    "run",
    "--config",
    "test/vitest.config.ts",
    "--project",
    "unit",
    ...names,
  );
  expect(tests, tests.stdout).toMatchObject({ code: 0 });
  expect(tests.stdout).toMatch(/agent\.test\.ts/);

  const called = hypersdk("call", "libvirt/domain/poke", "name=test");
  expect(JSON.parse(called.stdout)).toEqual({ name: "test", output: "running" });
  expect(hypersdk("openapi").stdout).toContain('"/libvirt/domain/poke"');
});

test.each([
  [["health"], /functions\/health\.ts exists already/],
  [["libvirt/Domain"], /a path is words of lower-case letters/],
  [["libvirt/../x"], /a path is words of lower-case letters/],
  [["x", "--access", "admin"], /a GET only reads/],
  [["x", "--method", "POST"], /a POST needs operate or admin/],
  [["x", "--method", "POST", "--access", "read"], /a POST needs operate or admin/],
  [["x", "--method", "PUT"], /a PUT needs operate or admin/],
  [["x", "--method", "GET,POST", "--access", "admin"], /a GET only reads/],
  [["x", "--method", "PATCH"], /Allowed choices are GET, POST, PUT, GET,POST/],
  [["x", "--summary", "Ends with a dot."], /--summary: one line/],
])("%j is refused, and nothing is made", (words, text) => {
  const before = api();
  const { code, stdout, stderr } = hypersdk("new", ...words);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(text);
  expect(existsSync(join(root, "functions/x.ts"))).toBe(false);
  expect(api()).toBe(before);
});
