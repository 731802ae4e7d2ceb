// Which tool comes from which package: the list to extend when something new is needed, and what
// to type to install it.

/**
 * @typedef {"apt" | "dnf" | "pacman" | "apk" | "zypper"} Manager
 * @typedef {{ binaries: string[] } & Record<Manager, string>} Tool any of the binaries will do
 */

const arm = process.arch === "arm64";

/** @type {Tool[]} No hypervisor on this machine without these. */
// biome-ignore format: a table reads best as one
export const HYPERVISOR_TOOLS = [
  { binaries: ["virsh"], apt: "libvirt-clients", dnf: "libvirt-client", pacman: "libvirt", apk: "libvirt-client", zypper: "libvirt-client" },
  { binaries: ["libvirtd", "virtqemud"], apt: "libvirt-daemon-system", dnf: "libvirt-daemon-kvm", pacman: "libvirt", apk: "libvirt-daemon libvirt-qemu", zypper: "libvirt-daemon-qemu" },
  { binaries: [arm ? "qemu-system-aarch64" : "qemu-system-x86_64", "qemu-kvm"], apt: arm ? "qemu-system-arm" : "qemu-system-x86", dnf: "qemu-kvm", pacman: arm ? "qemu-system-aarch64" : "qemu-base", apk: arm ? "qemu-system-aarch64" : "qemu-system-x86_64", zypper: arm ? "qemu-arm" : "qemu-x86" },
];

const uefi = arm
  ? ["/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/edk2/aarch64/QEMU_EFI.fd"]
  : [
      "/usr/share/OVMF/OVMF_CODE_4M.fd",
      "/usr/share/edk2/ovmf/OVMF_CODE.fd",
      "/usr/share/edk2/x64/OVMF_CODE.4m.fd",
    ];

/** @type {Tool[]} What the hypervisor calls for disks and networks, UEFI, a TPM, and images that are compressed. */
// biome-ignore format: a table reads best as one
export const HELPER_TOOLS = [
  { binaries: ["qemu-img"], apt: "qemu-utils", dnf: "qemu-img", pacman: "qemu-img", apk: "qemu-img", zypper: "qemu-img" },
  { binaries: ["dnsmasq"], apt: "dnsmasq-base", dnf: "dnsmasq", pacman: "dnsmasq", apk: "dnsmasq", zypper: "dnsmasq" },
  { binaries: ["iptables", "nft"], apt: "iptables", dnf: "iptables-nft", pacman: "iptables", apk: "iptables", zypper: "iptables" },
  { binaries: uefi, apt: arm ? "qemu-efi-aarch64" : "ovmf", dnf: arm ? "edk2-aarch64" : "edk2-ovmf", pacman: arm ? "edk2-aarch64" : "edk2-ovmf", apk: arm ? "aavmf" : "ovmf", zypper: arm ? "qemu-uefi-aarch64" : "qemu-ovmf-x86_64" },
  { binaries: ["swtpm"], apt: "swtpm swtpm-tools", dnf: "swtpm swtpm-tools", pacman: "swtpm", apk: "swtpm", zypper: "swtpm" },
  { binaries: ["xz"], apt: "xz-utils", dnf: "xz", pacman: "xz", apk: "xz", zypper: "xz" },
  { binaries: ["zstd"], apt: "zstd", dnf: "zstd", pacman: "zstd", apk: "zstd", zypper: "zstd" },
  { binaries: ["bzip2"], apt: "bzip2", dnf: "bzip2", pacman: "bzip2", apk: "bzip2", zypper: "bzip2" },
];

/** Debian's place of PostgreSQL's programs, which are not on the PATH. */
const POSTGRES = "/usr/lib/postgresql/*/bin/postgres";

/**
 * @type {Tool[]} The private database of a server without `[database] url`. Of Debian's packages this one has the
 * programs alone; database.mjs keeps it from making a cluster and starting it.
 */
// biome-ignore format: a table reads best as one
export const DATABASE_TOOLS = [
  { binaries: [POSTGRES, "postgres"], apt: "postgresql", dnf: "postgresql-server", pacman: "postgresql", apk: "postgresql", zypper: "postgresql-server" },
  { binaries: ["setpriv"], apt: "util-linux", dnf: "util-linux", pacman: "util-linux", apk: "setpriv", zypper: "util-linux" },
  { binaries: ["flock"], apt: "util-linux", dnf: "util-linux", pacman: "util-linux", apk: "flock", zypper: "util-linux" },
];

const libraries = ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu", "lib64", "lib"];
const storageBackend = (/** @type {string} */ name) =>
  libraries.map((lib) => `/usr/${lib}/libvirt/storage-backend/libvirt_storage_backend_${name}.so`);

/**
 * @type {Tool[]} Pools of whole disks and of volume groups. These packages are asked for once libvirtd is there:
 * Debian 12 has none of these names, since its libvirtd brings both files.
 */
// biome-ignore format: a table reads best as one
export const STORAGE_TOOLS = [
  { binaries: storageBackend("disk"), apt: "libvirt-daemon-driver-storage-disk", dnf: "libvirt-daemon-driver-storage-disk", pacman: "libvirt", apk: "libvirt-common-drivers", zypper: "libvirt-daemon-driver-storage-disk" },
  { binaries: storageBackend("logical"), apt: "libvirt-daemon-driver-storage-logical", dnf: "libvirt-daemon-driver-storage-logical", pacman: "libvirt", apk: "libvirt-common-drivers", zypper: "libvirt-daemon-driver-storage-logical" },
];

/** @type {Tool[]} What the tests need. */
// biome-ignore format: a table reads best as one
export const TEST_TOOLS = [
  ...HYPERVISOR_TOOLS,
  ...HELPER_TOOLS,
  ...DATABASE_TOOLS,
  { binaries: ["libvirtd"], apt: "libvirt-daemon", dnf: "libvirt-daemon", pacman: "libvirt", apk: "libvirt-daemon", zypper: "libvirt-daemon" },
  { binaries: ["virtlogd"], apt: "libvirt-daemon", dnf: "libvirt-daemon-log", pacman: "libvirt", apk: "libvirt", zypper: "libvirt-daemon-log" },
  { binaries: ["unshare"], apt: "util-linux", dnf: "util-linux", pacman: "util-linux", apk: "util-linux-misc", zypper: "util-linux" },
  { binaries: ["setpriv"], apt: "util-linux", dnf: "util-linux", pacman: "util-linux", apk: "setpriv", zypper: "util-linux" },
  { binaries: ["ip"], apt: "iproute2", dnf: "iproute", pacman: "iproute2", apk: "iproute2", zypper: "iproute2" },
  { binaries: ["ps"], apt: "procps", dnf: "procps-ng", pacman: "procps-ng", apk: "procps", zypper: "procps" },
  { binaries: ["curl"], apt: "curl", dnf: "curl", pacman: "curl", apk: "curl", zypper: "curl" },
  { binaries: ["virt-sysprep"], apt: "libguestfs-tools linux-image-amd64", dnf: "guestfs-tools", pacman: "guestfs-tools", apk: "guestfs-tools", zypper: "guestfs-tools" },
  { binaries: ["mkfs.ext4"], apt: "e2fsprogs", dnf: "e2fsprogs", pacman: "e2fsprogs", apk: "e2fsprogs", zypper: "e2fsprogs" },
  { binaries: ["debootstrap"], apt: "debootstrap", dnf: "debootstrap", pacman: "debootstrap", apk: "debootstrap", zypper: "debootstrap" },
  { binaries: ["virt-clone"], apt: "virtinst", dnf: "virt-install", pacman: "virt-install", apk: "virt-install", zypper: "virt-install" },
  { binaries: ["isoinfo"], apt: "genisoimage", dnf: "genisoimage", pacman: "cdrtools", apk: "cdrkit", zypper: "mkisofs" },
  { binaries: ["xorriso"], apt: "xorriso", dnf: "xorriso", pacman: "libisoburn", apk: "xorriso", zypper: "xorriso" },
  { binaries: ["/usr/lib/grub/i386-pc/kernel.img"], apt: "grub-common grub-pc-bin", dnf: "grub2-tools-extra grub2-pc-modules", pacman: "grub", apk: "grub-bios", zypper: "grub2-i386-pc" },
  { binaries: ["scrub"], apt: "scrub", dnf: "scrub", pacman: "scrub", apk: "scrub", zypper: "scrub" },
  { binaries: ["chromium"], apt: "chromium", dnf: "chromium", pacman: "chromium", apk: "chromium", zypper: "chromium" },
  { binaries: ["sshd"], apt: "openssh-server", dnf: "openssh-server", pacman: "openssh", apk: "openssh-server", zypper: "openssh-server" },
  { binaries: ["ssh"], apt: "openssh-client", dnf: "openssh-clients", pacman: "openssh", apk: "openssh-client", zypper: "openssh-clients" },
  { binaries: ["bash"], apt: "bash", dnf: "bash", pacman: "bash", apk: "bash", zypper: "bash" },
  { binaries: ["zsh"], apt: "zsh", dnf: "zsh", pacman: "zsh", apk: "zsh", zypper: "zsh" },
  { binaries: ["fish"], apt: "fish", dnf: "fish", pacman: "fish", apk: "fish", zypper: "fish" },
  { binaries: ["sudo"], apt: "sudo", dnf: "sudo", pacman: "sudo", apk: "sudo", zypper: "sudo" },
  { binaries: ["tcsh"], apt: "tcsh", dnf: "tcsh", pacman: "tcsh", apk: "tcsh", zypper: "tcsh" },
  { binaries: ["http"], apt: "httpie", dnf: "httpie", pacman: "httpie", apk: "httpie", zypper: "httpie" },
  { binaries: ["systemd-analyze"], apt: "systemd", dnf: "systemd", pacman: "systemd", apk: "systemd", zypper: "systemd" },
  { binaries: ["debugfs"], apt: "e2fsprogs", dnf: "e2fsprogs", pacman: "e2fsprogs", apk: "e2fsprogs-extra", zypper: "e2fsprogs" },
  { binaries: ["/usr/share/locale/ja/LC_MESSAGES/libvirt.mo"], apt: "libvirt-l10n", dnf: "libvirt-libs", pacman: "libvirt", apk: "libvirt-lang", zypper: "libvirt-libs" },
  { binaries: ["/usr/share/i18n/locales/ja_JP"], apt: "locales", dnf: "glibc-locale-source", pacman: "glibc-locales", apk: "musl-locales", zypper: "glibc-i18ndata" },
  { binaries: ["mcopy"], apt: "mtools", dnf: "mtools", pacman: "mtools", apk: "mtools", zypper: "mtools" },
  { binaries: ["mkfs.vfat"], apt: "dosfstools", dnf: "dosfstools", pacman: "dosfstools", apk: "dosfstools", zypper: "dosfstools" },
  { binaries: ["/usr/share/osinfo/os"], apt: "osinfo-db", dnf: "osinfo-db", pacman: "osinfo-db", apk: "osinfo-db", zypper: "osinfo-db" },
  { binaries: ["buildah"], apt: "buildah", dnf: "buildah", pacman: "buildah", apk: "buildah", zypper: "buildah" },
];

/** @type {Record<string, Manager>} by ID in os-release */
const MANAGERS = {
  debian: "apt",
  ubuntu: "apt",
  fedora: "dnf",
  rhel: "dnf",
  centos: "dnf",
  arch: "pacman",
  alpine: "apk",
  opensuse: "zypper",
  suse: "zypper",
};

/** @type {Record<Manager, string[][]>} the names of the packages follow the last command */
const INSTALL = {
  apt: [
    ["apt-get", "update"],
    ["apt-get", "install", "--yes", "--no-install-recommends"],
  ],
  dnf: [["dnf", "install"]],
  pacman: [["pacman", "-S", "--needed"]],
  apk: [["apk", "add"]],
  zypper: [["zypper", "install"]],
};

/**
 * @param {Tool[]} tools
 * @param {(binary: string) => boolean} found
 */
export function missingTools(tools, found) {
  return tools.filter((tool) => !tool.binaries.some(found));
}

/** @param {Tool[]} tools */
export function toolNames(tools) {
  return [...new Set(tools.map((tool) => tool.binaries.join(" or ")))].join(", ");
}

/**
 * The package manager of the distribution that an os-release file describes.
 * @param {string} osRelease
 */
export function packageManager(osRelease) {
  const value = (/** @type {string} */ key) =>
    new RegExp(`^${key}=["']?([^"'\n]*)`, "m").exec(osRelease)?.[1] ?? "";
  // ID is the distribution itself, ID_LIKE its ancestors from near to far.
  const names = `${value("ID")} ${value("ID_LIKE")}`.split(/\s+/);
  const known = names.find((name) => Object.hasOwn(MANAGERS, name));
  return known === undefined ? undefined : MANAGERS[known];
}

/**
 * The commands, as argument lists, that install these tools.
 * @param {Manager} manager
 * @param {Tool[]} tools
 */
export function installCommands(manager, tools) {
  const packages = new Set(tools.flatMap((tool) => tool[manager].split(" ")));
  const commands = INSTALL[manager];
  return commands.map((argv) => (argv === commands.at(-1) ? [...argv, ...packages] : argv));
}

/**
 * What a person types to install these tools.
 * @param {Manager | undefined} manager
 * @param {Tool[]} tools
 * @param {boolean} root
 */
export function installAdvice(manager, tools, root) {
  const missing = `Not found: ${toolNames(tools)}.`;
  if (manager === undefined) {
    return `${missing} Install them with this distribution's package manager.`;
  }
  const sudo = root ? "" : "sudo ";
  const lines = installCommands(manager, tools).map((argv) => sudo + argv.join(" "));
  return `${missing} To install:\n  ${lines.join(" && ")}`;
}

/**
 * The commands, as argument lists, that start libvirt's daemon.
 * @param {boolean} systemd
 * @param {boolean} modular whether there are only the newer daemons, one for each driver
 */
export function daemonCommands(systemd, modular) {
  const daemons = modular ? ["virtqemud", "virtnetworkd", "virtstoraged"] : ["libvirtd"];
  if (!systemd) return ["virtlogd", ...daemons].map((daemon) => [daemon, "-d"]);
  return [["systemctl", "start", ...(modular ? daemons.map((name) => `${name}.socket`) : daemons)]];
}
