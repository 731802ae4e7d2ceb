// The root file system of another Debian release, with all that the tests need: made by debootstrap on first use.

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { installCommands, STORAGE_TOOLS, TEST_TOOLS } from "../../deploy/packages.mjs";

export const CACHE = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "hypersdk");
const ROOTS = join(CACHE, "release");
const DEPLOY = fileURLToPath(new URL("../../deploy/", import.meta.url));
const BUILD_TIMEOUT_MS = 3_600_000;
const UNUSED_MS = 7 * 24 * 3_600_000;

/** Debian's Node runs deploy/ there; everything else comes by the lists of deploy/packages.mjs. */
const PACKAGES = ["nodejs", "ca-certificates"];

/** What makes the installation quick: no sync of each file to disk, no documents, no daemon, no initramfs. */
const FILES = {
  "etc/dpkg/dpkg.cfg.d/quick":
    "force-unsafe-io\npath-exclude=/usr/share/man/*\npath-exclude=/usr/share/doc/*\n",
  // debootstrap takes a mirror that has not been renewed for weeks; apt is to take the same.
  "etc/apt/apt.conf.d/mirror": 'Acquire::Check-Valid-Until "false";\n',
  "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
};
const INSTALL = `
  import { installDatabase } from "/opt/deploy/database.mjs";
  import { installTools } from "/opt/deploy/install.mjs";
  import { STORAGE_TOOLS, TEST_TOOLS } from "/opt/deploy/packages.mjs";
  installDatabase();
  const missing = [...installTools(TEST_TOOLS), ...installTools(STORAGE_TOOLS)];
  process.exitCode = missing.length > 0 ? 1 : 0;
`;

/** @param {string} release */
function recipe(release) {
  const commands = [TEST_TOOLS, STORAGE_TOOLS].map((tools) => installCommands("apt", tools));
  const parts = [release, PACKAGES, FILES, INSTALL, commands];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
}

/**
 * Undefined where it was not made yet, which takes the network.
 * @param {string} release
 */
export function madeRoot(release) {
  const home = homeOf(release);
  return existsSync(home) ? home : undefined;
}

/** @param {string} release */
const homeOf = (release) => join(ROOTS, `${release}-${recipe(release)}`);

/**
 * Its path; built beside it and moved into place. Roots of other recipes may serve other checkouts, so they go once
 * no run has used them for a week.
 * @param {string} release
 */
export function releaseRoot(release) {
  const home = homeOf(release);
  mkdirSync(ROOTS, { recursive: true });
  if (!existsSync(home)) install(release, home);
  utimesSync(home, new Date(), new Date());
  for (const path of readdirSync(ROOTS).map((name) => join(ROOTS, name))) {
    if (statSync(path).mtimeMs < Date.now() - UNUSED_MS) rmSync(path, { recursive: true });
  }
  return home;
}

/**
 * @param {string} release
 * @param {string} home
 */
function install(release, home) {
  const work = mkdtempSync(join(ROOTS, "build-"));
  try {
    const root = join(work, "root");
    build(release, root);
    // Another process may have been first; its root is as good.
    if (!existsSync(home)) renameSync(root, home);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * @param {string} release
 * @param {string} root
 */
function build(release, root) {
  console.error(`Debian ${release} is made by debootstrap, which takes a few minutes ...`);
  // debootstrap has a script of each release that it knows; a later one is made as unstable is.
  const script = existsSync(`/usr/share/debootstrap/scripts/${release}`) ? release : "sid";
  const options = ["--variant=minbase", `--include=${PACKAGES}`];
  run("debootstrap", [...options, release, root, debianMirror(), script]);
  for (const [path, text] of Object.entries(FILES)) {
    writeFileSync(join(root, path), text, { mode: 0o755 });
  }
  cpSync(DEPLOY, join(root, "opt/deploy"), { recursive: true });
  // Its end takes /proc and every process of the packages' scripts with it.
  const enter = ["--mount", "--pid", "--fork", "--kill-child", `--mount-proc=${root}/proc`];
  const node = ["chroot", root, "node", "--input-type=module", "--eval", INSTALL];
  run("unshare", [...enter, ...node], { INITRD: "No", LC_ALL: "C" });
  run("chroot", [root, "apt-get", "clean"]);
  rmSync(join(root, "opt/deploy"), { recursive: true });
}

/** The mirror from which apt takes this machine's own packages; without one debootstrap takes its own. */
function debianMirror() {
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  const format = "$(RELEASE) $(COMPONENT) $(REPO_URI)";
  const targets = execFileSync(
    "apt-get",
    ["indextargets", "--format", format, "Created-By: Packages"],
    { encoding: "utf8" },
  );
  const line = targets.split("\n").find((one) => one.startsWith(`${codename} main `));
  return line?.split(" ")[2] ?? "";
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {Record<string, string>} env
 */
function run(command, args, env = {}) {
  execFileSync(command, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "ignore", "inherit"],
    timeout: BUILD_TIMEOUT_MS,
  });
}
