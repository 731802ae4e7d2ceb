/** `hypersdk call` of a function with two methods and of one that streams, in this process and of a server. */
import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { startServer, type TestServer } from "../../server.ts";
import { copyOfRepository } from "../dev/copy.ts";

vi.setConfig({ testTimeout: 60_000 });

const { root, remove } = copyOfRepository();
cpSync(join(import.meta.dirname, "../../fixtures/functions"), join(root, "functions"), {
  recursive: true,
});
const env = { LIBVIRT_DEFAULT_URI: "test:///default", HYPERSDK_CONFIG: "" };
let server: TestServer;
beforeAll(async () => {
  server = await startServer(env, [join(root, "runtime/serve.ts")]);
});
afterAll(async () => {
  await server.stop();
  remove();
});

function call(...words: string[]) {
  const argv = ["runtime/cli/main.ts", "call", ...words];
  const options = { cwd: root, env: { ...process.env, ...env }, encoding: "utf8" as const };
  const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
    ...options,
    timeout: 50_000,
  });
  return { status, lines: stdout.trim().split("\n"), stderr };
}
const ways = () => [[], ["--server", server.url]];

test("one line for each event", () => {
  for (const way of ways()) {
    const { status, lines } = call("ticks", "until=2", ...way);
    const event = (n: number) => ({ event: "tick", id: `${n}`, data: { n, pad: "" } });
    expect([status, ...lines.map((line) => JSON.parse(line))]).toEqual([0, event(1), event(2)]);
    expect(call("thing/log", "id=hat", "follow=true", ...way).lines).toEqual([
      '{"data":"hat was made"}',
      '{"data":"hat was worn"}',
    ]);
    expect(JSON.parse(call("thing/log", "id=hat", ...way).lines.join(""))).toEqual({
      lines: ["hat was made", "hat was worn"],
    });
  }
});

test("a stream that fails is an error", () => {
  for (const way of ways()) {
    const failed = call("ticks", "until=1", "end=failed", ...way);
    expect([failed.status, failed.lines]).toEqual([1, [expect.stringContaining("tick")]]);
    expect(failed.stderr).not.toBe("");
    expect(call("ticks", "end=refused", ...way)).toMatchObject({
      status: 1,
      stderr: "hypersdk: no such clock (not_found)\n",
    });
  }
});

test("of two methods, the one that the input fits", () => {
  for (const way of ways()) {
    for (const more of [["limit=3"], ["limit=3", "state=new", "size=7"]]) {
      const { asked } = JSON.parse(call("things/query", ...more, ...way).lines.join(""));
      expect(asked).toMatchObject(more.length > 1 ? { state: ["new"], size: [7] } : { limit: 3 });
    }
  }
  expect(call("things/query", "--help").lines[0]).toBe("List things (GET or POST /things/query)");
});
