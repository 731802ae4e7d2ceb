/** The script that listens on a hypervisor, with a virsh that ends. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { listeningArgv } from "../../../runtime/hypervisor/events/script.ts";
import { slow } from "../../fixtures/slowness.ts";

/** A group of processes of its own, since the script ends its group. */
async function listening(virsh: string) {
  const folder = mkdtempSync(join(tmpdir(), "listening-"));
  writeFileSync(join(folder, "virsh"), `#!/bin/sh\n${virsh}\n`, { mode: 0o755 });
  const [program = "", ...args] = listeningArgv("domains", ["-c", "qemu:///system"]);
  const child = spawn(program, args, {
    detached: true,
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    stdio: ["pipe", "pipe", "ignore"],
  });
  const late = setTimeout(() => process.kill(-(child.pid as number), "SIGKILL"), slow(5000));
  const [said, [, signal]] = await Promise.all([text(child.stdout), once(child, "close")]);
  clearTimeout(late);
  rmSync(folder, { recursive: true });
  return { said, signal };
}

// dash reaps it while it waits for `sleep`: then /proc tells nothing of it any more
test.each([
  ["at once", "exit 1"],
  ["after a moment", "sleep 0.07; exit 1"],
  ["after a longer one", "sleep 0.3; exit 1"],
])("where virsh ends %s, the script ends, and does not say that it hears", async (_, virsh) => {
  expect(await listening(virsh)).toEqual({ said: "hypersdk listens: 1\n", signal: "SIGTERM" });
});
