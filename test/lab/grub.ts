// A disk that starts a guest's kernel as real disks do: by its boot sector, with GRUB.

import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { slow } from "../fixtures/slowness.ts";

const MODULES = "/usr/lib/grub/i386-pc";

/** Writes a raw image, which is an ISO as well: xorriso alone makes it. */
export async function grubDisk(
  path: string,
  { kernel, initrd }: { kernel: string; initrd: string },
  options: string,
): Promise<void> {
  const folder = mkdtempSync("/run/grub-");
  try {
    mkdirSync(join(folder, "boot/grub"), { recursive: true });
    copyFileSync(kernel, join(folder, "boot/kernel"));
    copyFileSync(initrd, join(folder, "boot/initrd"));
    const lines = ["set timeout=0", `linux /boot/kernel ${options}`, "initrd /boot/initrd", "boot"];
    writeFileSync(join(folder, "boot/grub/grub.cfg"), `${lines.join("\n")}\n`);
    const argv = ["-o", path, "-d", MODULES, folder];
    await promisify(execFile)("grub-mkrescue", argv, { timeout: slow(60_000) });
  } finally {
    rmSync(folder, { recursive: true });
  }
}
