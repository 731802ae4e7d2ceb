// Stops and starts the lab's libvirtd, for tests of what happens when the daemon goes away.

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { slow } from "../fixtures/slowness.ts";

const run = promisify(execFile);
const DEADLINE_MS = 15_000;

/** Ends the daemon with this signal and returns once it is gone. */
export async function stopLibvirtd(signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  requireLab();
  const pid = Number.parseInt(await readFile("/run/libvirtd.pid", "utf8"), 10);
  process.kill(pid, signal);
  await until(async () => !isAlive(pid), `libvirtd did not end after ${signal}`);
}

/** Starts the daemon and returns once it answers. `locale`: the language of its errors; `path`: where its programs are. */
export async function startLibvirtd(locale = "C", path = `${process.env.PATH}`): Promise<void> {
  requireLab();
  const env = { ...process.env, LC_ALL: locale, PATH: path };
  await run("libvirtd", ["-d"], { env, timeout: slow(DEADLINE_MS) });
  await until(answers, "libvirtd does not answer");
}

function requireLab(): void {
  if (process.env.HYPERSDK_LAB !== "1") {
    throw new Error("This would touch the machine's own libvirtd. Run it in the lab: npm run lab");
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function answers(): Promise<boolean> {
  return run("virsh", ["-c", "qemu:///system", "uri"], { timeout: 2_000 }).then(
    () => true,
    () => false,
  );
}

async function until(done: () => Promise<boolean>, failure: string): Promise<void> {
  const deadline = Date.now() + slow(DEADLINE_MS);
  while (!(await done())) {
    if (Date.now() > deadline) throw new Error(failure);
    await sleep(20);
  }
}
