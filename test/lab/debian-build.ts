// Builds a small real Debian: systemd, networkd, sshd and the QEMU guest agent on one ext4 file system,
// with Debian's cloud kernel and an initramfs that loads its modules and hands over.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { gzipSync } from "node:zlib";

const META_PACKAGE = "linux-image-cloud-amd64";
const PACKAGES = "systemd-sysv,dbus,udev,kmod,openssh-server,qemu-guest-agent";
/** What a guest that cloud-init sets up has beside. debootstrap finds no package that another one provides. */
const CLOUD_PACKAGES = "cloud-init,python3-cffi-backend,netplan.io,sudo,iproute2";
const SIZE = "2G";

/** Each after those it needs; ext4 is in the kernel. All are loaded before the disk is there, so the disk holds none. */
const MODULES = [
  ...["virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci"],
  ...["failover", "net_failover", "virtio_net", "virtio_blk", "virtio_balloon", "virtio_console"],
  ...["evdev", "button"],
];

/** Of a CD-ROM drive at virtio-scsi: this kernel has no driver of q35's SATA. */
const CLOUD_MODULES = ["scsi_common", "scsi_mod", "virtio_scsi", "cdrom", "sr_mod", "isofs"];

const INIT = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /disk
/bin/busybox mount -t devtmpfs devtmpfs /dev
for module in /modules/*.ko; do /bin/busybox insmod "$module"; done
/bin/busybox mount -t ext4 /dev/vda /disk
/bin/busybox mount --move /dev /disk/dev
exec /bin/busybox switch_root /disk /sbin/init
`;

/** What makes it quick to start and known on the network by nothing but its machine-id. */
const FILES = {
  "etc/systemd/network/all.network":
    "[Match]\nType=ether\n[Network]\nDHCP=ipv4\nLinkLocalAddressing=no\n",
  "etc/hostname": "debian-base\n",
  "etc/fstab": "",
  // with systemd.unit=booted.service on the kernel's command line it starts this alone, in seconds
  "etc/systemd/system/booted.service": `[Unit]
DefaultDependencies=no
SuccessAction=poweroff-force
[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo BOOTED $(cat /sys/class/dmi/id/product_uuid) | tee /booted >/dev/ttyS0'
`,
};
const SETUP = `systemctl enable systemd-networkd serial-getty@ttyS0 >/dev/null 2>&1
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
  fstrim.timer systemd-networkd-wait-online.service systemd-timesyncd.service >/dev/null 2>&1
echo root:lab | chpasswd
apt-get clean
rm -rf /usr/share/doc /usr/share/man /usr/share/locale /var/lib/apt/lists /var/log/*`;

/** What is made otherwise where cloud-init is: it writes the network's configuration, keys and users. */
const CLOUD_SETUP = `rm /etc/systemd/network/all.network /etc/ssh/ssh_host_*
cat >/etc/cloud/cloud.cfg.d/90-lab.cfg <<'END'
# the others take an emulated machine minutes
cloud_init_modules: [write-files, set_hostname, users-groups, ssh]
cloud_config_modules: [set-passwords, runcmd]
cloud_final_modules: [scripts-user]
ssh_genkeytypes: [ed25519]
END
`;

const packagesOf = (cloud: boolean) => (cloud ? `${PACKAGES},${CLOUD_PACKAGES}` : PACKAGES);
const modulesOf = (cloud: boolean) => (cloud ? [...MODULES, ...CLOUD_MODULES] : MODULES);
const setupOf = (cloud: boolean) => (cloud ? CLOUD_SETUP : "") + SETUP;

/** Names what is built here, so that a changed recipe never meets an old guest. */
export const recipeOf = (cloud: boolean) =>
  `debian-${createHash("sha256")
    .update(
      [
        packagesOf(cloud),
        SIZE,
        modulesOf(cloud),
        INIT,
        setupOf(cloud),
        JSON.stringify(FILES),
      ].join(),
    )
    .digest("hex")
    .slice(0, 16)}`;

/** Makes `guest/kernel`, `guest/initrd` and `guest/disk.qcow2` in the empty directory `work`. */
export function buildDebian(work: string, cloud: boolean): void {
  const run = (command: string, args: string[], input = "") =>
    execFileSync(command, args, {
      cwd: work,
      input,
      stdio: ["pipe", "pipe", "pipe"],
      timeout: 600_000,
      maxBuffer: 64 * 1024 * 1024,
    });
  mkdirSync(join(work, "guest"));

  const root = join(work, "root");
  run("debootstrap", ["--variant=minbase", `--include=${packagesOf(cloud)}`, "bookworm", root]);
  for (const [path, text] of Object.entries(FILES)) writeFileSync(join(root, path), text);
  run("chroot", [root, "sh", "-euc", setupOf(cloud)]);
  const raw = join(work, "disk.raw");
  run("truncate", [`--size=${SIZE}`, raw]);
  run("mkfs.ext4", ["-q", "-L", "root", "-d", root, raw]);
  run("qemu-img", ["convert", "-O", "qcow2", raw, "guest/disk.qcow2"]);

  const depends = run("apt-cache", ["depends", META_PACKAGE]).toString();
  const kernel = /Depends: (linux-image-\S+)/.exec(depends)?.[1];
  if (kernel === undefined) throw new Error(`${META_PACKAGE} names no kernel: ${depends}`);
  run("apt-get", ["download", "-o", "APT::Sandbox::User=root", kernel, "busybox-static"]);
  const packages = readdirSync(work).filter((file) => file.endsWith(".deb"));
  for (const file of packages) run("dpkg", ["-x", file, "packages"]);
  const image = kernel.replace("linux-image-", "vmlinuz-");
  copyFileSync(join(work, "packages", "boot", image), join(work, "guest", "kernel"));
  writeFileSync(join(work, "guest", "initrd"), initrd(work, modulesOf(cloud), run));
}

function initrd(
  work: string,
  modules: string[],
  run: (command: string, args: string[], input: string) => Buffer,
) {
  const root = join(work, "initrd");
  for (const dir of ["bin", "modules"]) mkdirSync(join(root, dir), { recursive: true });
  const busybox = join(root, "bin", "busybox");
  copyFileSync(join(work, "packages", "bin", "busybox"), busybox);
  writeFileSync(join(root, "init"), INIT, { mode: 0o755 });
  const source = join(work, "packages", "lib", "modules");
  const available = readdirSync(source, { recursive: true }).map(String);
  modules.forEach((name, index) => {
    const path = available.find((file) => basename(file) === `${name}.ko`);
    if (path === undefined) throw new Error(`The kernel of ${META_PACKAGE} has no ${name}.ko`);
    // the number says the order in which init loads them
    const order = String(index).padStart(2, "0");
    copyFileSync(join(source, path), join(root, "modules", `${order}-${name}.ko`));
  });
  const files = readdirSync(root, { recursive: true }).join("\n");
  const pack = 'cd "$1" && exec "$2" cpio -o -H newc';
  return gzipSync(run("sh", ["-c", pack, "sh", root, busybox], files));
}
