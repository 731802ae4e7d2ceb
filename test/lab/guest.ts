// A tiny real Linux guest for tests, all in memory. It says READY on its console, brings up each
// network card by DHCP, plugged in at start or later, and obeys the power button (`virsh shutdown`).
// `bun test/lab/guest.ts` builds it; that takes the network, so it must run outside the lab.

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { slow } from "../fixtures/slowness.ts";
import { buildGuest, RECIPE } from "./guest-build.ts";

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "hypersdk", "guest");

/** The guest's kernel and initramfs, built on first use. */
export async function tinyGuest(): Promise<{ kernel: string; initrd: string }> {
  const home = join(CACHE, RECIPE);
  const guest = { kernel: join(home, "kernel"), initrd: join(home, "initrd") };
  if (existsSync(home)) return guest;
  if (process.env.HYPERSDK_LAB === "1") {
    throw new Error("The tiny guest is not built. Outside the lab, run: bun test/lab/guest.ts");
  }
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "build-"));
  try {
    buildGuest(work);
    // Another process may have been first; its guest is as good.
    if (!existsSync(home)) renameSync(join(work, "guest"), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return guest;
}

/**
 * How the kernel of a guest starts. Its check of the timer fails on a busy machine, and it panics; the guards against
 * other programs of the guest cost emulated instructions.
 */
export const KERNEL_OPTIONS = "console=ttyS0 quiet no_timer_check mitigations=off";

/** A definition of the guest; `devices` is XML, `cmdline` may say `burn=N` for N busy loops. */
export async function tinyGuestXml(options: {
  name: string;
  memoryMiB?: number;
  vcpus?: number;
  cmdline?: string;
  devices?: string;
}): Promise<string> {
  const { name, memoryMiB = 128, vcpus = 1, cmdline = "", devices = "" } = options;
  const { kernel, initrd } = await tinyGuest();
  return `<domain type='qemu'>
  <name>${escapeXml(name)}</name>
  <memory unit='MiB'>${memoryMiB}</memory>
  <vcpu>${vcpus}</vcpu>
  <os>
    <type arch='x86_64' machine='pc'>hvm</type>
    <kernel>${escapeXml(kernel)}</kernel>
    <initrd>${escapeXml(initrd)}</initrd>
    <cmdline>${escapeXml(`${KERNEL_OPTIONS} ${cmdline}`)}</cmdline>
  </os>
  <features><acpi/></features>
  <devices>
    <serial type='pty'><log file='${escapeXml(consoleLog(name))}' append='off'/></serial>
    <memballoon model='virtio'><stats period='1'/></memballoon>
    ${devices}
  </devices>
</domain>
`;
}

/** Waits until the guest's console shows `text`: READY, `ADDRESS <nic> <ip>`, POWER BUTTON. */
export async function guestSays(
  name: string,
  text: string,
  timeoutMs = slow(60_000),
): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const said = await readFile(consoleLog(name), "utf8").catch(() => "");
    if (said.includes(text)) return;
    if (Date.now() > deadline) throw new Error(`${name} did not say ${text}, but:\n${said}`);
    await sleep(50);
  }
}

function consoleLog(name: string): string {
  return `/var/log/libvirt/qemu/${name}-console.log`;
}

function escapeXml(text: string): string {
  return text.replace(/[&<>'"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

if (import.meta.main) console.log(await tinyGuest());
