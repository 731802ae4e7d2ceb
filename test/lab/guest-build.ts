// Builds the tiny guest: Debian's cloud kernel, busybox and guest-init.sh in an initramfs.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const META_PACKAGE = "linux-image-cloud-amd64";
const INIT = readFileSync(new URL("guest-init.sh", import.meta.url));

/** The guest's kernel modules, each after those it needs. */
const MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "failover",
  "net_failover",
  "virtio_net",
  "virtio_blk",
  "virtio_balloon",
  "virtio_console",
  "evdev",
  "button",
];

/** Those of CD-ROM drives on IDE and virtio SCSI, which a guest loads with `cdrom=1` on its command line. */
const CDROM_MODULES = [
  "scsi_common",
  "scsi_mod",
  "libata",
  "ata_piix",
  "virtio_scsi",
  "cdrom",
  "sr_mod",
];

/** Names what is built here, so that a changed recipe never meets an old guest. */
export const RECIPE = createHash("sha256")
  .update(INIT)
  .update([...MODULES, ...CDROM_MODULES].join())
  .digest("hex")
  .slice(0, 16);

/** Makes `guest/kernel` and `guest/initrd` in the empty directory `work`. */
export function buildGuest(work: string): void {
  if (!existsSync("/usr/bin/apt-get")) {
    throw new Error("The tiny guest is made of Debian's packages: building it takes apt-get.");
  }
  const run = (command: string, args: string[], input = ""): Buffer =>
    execFileSync(command, args, {
      cwd: work,
      input,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: 300_000,
      maxBuffer: 64 * 1024 * 1024,
    });

  run("apt-get", ["update"]);
  const depends = run("apt-cache", ["depends", META_PACKAGE]).toString();
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (kernel === undefined) throw new Error(`${META_PACKAGE} names no kernel: ${depends}`);
  run("apt-get", ["download", "-o", "APT::Sandbox::User=root", kernel, "busybox-static"]);
  for (const file of readdirSync(work)) run("dpkg", ["-x", file, "packages"]);

  const packages = join(work, "packages");
  const root = join(work, "root");
  const busybox = join(root, "bin", "busybox");
  for (const dir of ["bin", "modules/cdrom"]) mkdirSync(join(root, dir), { recursive: true });
  copyFileSync(join(packages, "bin", "busybox"), busybox);
  writeFileSync(join(root, "init"), INIT);
  chmodSync(join(root, "init"), 0o755);
  const available = join(packages, "lib", "modules");
  copyModules(MODULES, available, join(root, "modules"));
  copyModules(CDROM_MODULES, available, join(root, "modules", "cdrom"));

  mkdirSync(join(work, "guest"));
  const files = readdirSync(root, { recursive: true }).join("\n");
  const pack = 'cd "$1" && exec "$2" cpio -o -H newc';
  const archive = run("sh", ["-c", pack, "sh", root, busybox], files);
  writeFileSync(join(work, "guest", "initrd"), gzipSync(archive));
  const image = kernel.replace("linux-image-", "vmlinuz-");
  copyFileSync(join(packages, "boot", image), join(work, "guest", "kernel"));
}

/** Copies the modules with a number before each name: the order in which init loads them. */
function copyModules(modules: string[], source: string, target: string): void {
  const available = readdirSync(source, { recursive: true }).map(String);
  modules.forEach((name, index) => {
    const path = available.find((file) => basename(file) === `${name}.ko`);
    if (path === undefined) throw new Error(`The kernel of ${META_PACKAGE} has no ${name}.ko`);
    const order = String(index).padStart(2, "0");
    copyFileSync(join(source, path), join(target, `${order}-${name}.ko`));
  });
}
