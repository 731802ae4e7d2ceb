// A small real Debian guest, for what the tiny one cannot show: sealing, customising, guest agent.
// `bun test/lab/debian.ts` builds it; that takes the network, so it must run outside the lab.

import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { type Xml, xml } from "../../runtime/libvirt/xml.ts";
import { buildDebian, recipeOf } from "./debian-build.ts";
import { KERNEL_OPTIONS } from "./guest.ts";

const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "hypersdk", "guest");

/** Kernel, initramfs and a disk that is to be copied, never written to; built on first use. `cloud`: with cloud-init. */
export function debianGuest(cloud = false): { kernel: string; initrd: string; disk: string } {
  const home = join(CACHE, recipeOf(cloud));
  const guest = {
    kernel: join(home, "kernel"),
    initrd: join(home, "initrd"),
    disk: join(home, "disk.qcow2"),
  };
  if (existsSync(home)) return guest;
  if (process.env.HYPERSDK_LAB === "1") {
    throw new Error("The Debian guest is not built. Outside the lab, run: bun test/lab/debian.ts");
  }
  mkdirSync(CACHE, { recursive: true });
  const work = mkdtempSync(join(CACHE, "build-"));
  try {
    buildDebian(work, cloud);
    // Another process may have been first; its guest is as good.
    if (!existsSync(home)) renameSync(join(work, "guest"), home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return guest;
}

/** How a machine starts it; `more` goes on the kernel's command line. */
export function debianOs(more = "", cloud = false): Xml {
  const { kernel, initrd } = debianGuest(cloud);
  const cmdline = `root=/dev/vda rw ${KERNEL_OPTIONS} ${more}`.trim();
  return xml`<os><type arch="x86_64" machine="q35">hvm</type><kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>${cmdline}</cmdline></os>`;
}

if (import.meta.main) console.log(debianGuest(), debianGuest(true));
