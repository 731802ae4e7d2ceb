/** `hypersdk worker` where there is no database, and how it ends. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { hypersdk, LAUNCHER, onTerminal } from "../../cli.ts";
import { slow } from "../../fixtures/slowness.ts";

vi.setConfig({ testTimeout: slow(60_000) });

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "worker-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function settings(text: string) {
  const file = join(folder, "hypersdk.toml");
  writeFileSync(file, `[database]\n${text}\n`);
  return { HYPERSDK_CONFIG: file, XDG_STATE_HOME: folder };
}

test("where there can be no database it says so, and ends", async () => {
  const env = settings(`binaries = "${folder}"`);
  const { code, stderr } = await hypersdk(["worker"], { env });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^hypersdk: the database is not available: .+$/m);
});

test.each(["SIGTERM", "SIGINT"] as const)(
  "a server that is away is waited for, until %s",
  async (signal) => {
    const env = settings('url = "postgres://nobody@127.0.0.1:9/none"');
    const worker = onTerminal([LAUNCHER, "worker", "--concurrency", "3"], { env }, 500);
    await worker.shows(/the worker tries until it can begin: .*nothing listens at its address/, 30);
    process.kill(worker.pid, signal);
    expect(await worker.ended).toBe(0);
  },
);

test.each(["0", "x", "1001", "1.5"])("--concurrency %s is refused", async (number) => {
  const { code, stderr } = await hypersdk(["worker", "--concurrency", number]);
  expect(code).toBe(2);
  expect(stderr).toContain("it must be 1 to 1000");
});
