/** The log when it cannot be written, and what Bun throws. */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { freePort } from "../../lab/sshd.ts";
import { startServer } from "../../server.ts";

test("a full disk costs lines, and no answers", async () => {
  const serve = join(import.meta.dirname, "../../../runtime/serve.ts");
  // its first line would say where it listens
  const script = 'echo "http://127.0.0.1:$PORT"; exec "$0" "$1" 2>/dev/full';
  const PORT = `${await freePort()}`;
  const env = { PORT, LOG_LEVEL: "debug", LIBVIRT_DEFAULT_URI: "test:///default" };
  const server = await startServer(env, ["-c", script, process.execPath, serve], "sh");
  try {
    await vi.waitFor(() => server.get("/health"), 10_000);
    for (let n = 0; n < 50; n++) {
      expect(await server.get("/libvirt/network?name=nowhere")).toMatchObject({
        status: 404,
        body: { code: "not_found" },
      });
    }
  } finally {
    await server.stop();
  }
});

test("a module that is not there is named", () => {
  const script = `
    const { log } = await import(${JSON.stringify(join(import.meta.dirname, "../../../runtime/core/log.ts"))});
    await import("./nowhere.ts").catch((error) => log.error({ error }, "not loaded"));`;
  const args = ["-c", 'exec "$0" -e "$1" 2>&1', process.execPath, script];
  const line = JSON.parse(execFileSync("sh", args, { encoding: "utf8" }));
  expect(line).toMatchObject({
    msg: "not loaded",
    error: { message: expect.stringMatching(/^Cannot find module '.*nowhere\.ts'/) },
  });
});
