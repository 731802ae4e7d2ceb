// What virt-install and virt-manager make before their first domain: the pool "default" and the network "default".

import { spawnSync } from "node:child_process";
import { SEARCH_PATH } from "./find.mjs";

const FOLDER = "/var/lib/libvirt/images";
const TIMEOUT_MS = 30_000;

/** Only on a hypervisor that nobody has used yet: with neither a domain nor a pool. */
export function makeFirstObjects() {
  if (process.getuid?.() !== 0) return; // a user of group libvirt may not want to decide this for the machine
  const untouched = [
    ["list", "--all", "--name"],
    ["pool-list", "--all", "--name"],
  ];
  for (const argv of untouched) {
    const { status, stdout } = virsh(argv);
    if (status !== 0 || stdout.trim() !== "") return;
  }
  const pool = [
    ["pool-define-as", "--name", "default", "--type", "dir", "--target", FOLDER],
    ["pool-build", "--pool", "default"],
    ["pool-autostart", "--pool", "default"],
    ["pool-start", "--pool", "default"],
  ];
  if (run(pool)) console.error(`Pool default is made: ${FOLDER}.`);
  const { status, stdout } = virsh(["net-info", "--network", "default"]);
  if (status !== 0 || /^Active: +yes$/m.test(stdout)) return;
  const network = [
    ["net-autostart", "--network", "default"],
    ["net-start", "--network", "default"],
  ];
  if (run(network)) console.error("Network default is started.");
}

/**
 * Until one fails, which it says: the server works without them.
 * @param {string[][]} commands
 */
function run(commands) {
  for (const argv of commands) {
    const { status, stderr } = virsh(argv);
    if (status === 0) continue;
    console.error(`virsh ${argv[0]} default: ${stderr.trim()}`);
    return false;
  }
  return true;
}

/** @param {string[]} argv */
function virsh(argv) {
  const env = { ...process.env, PATH: SEARCH_PATH, LC_ALL: "C" };
  return spawnSync("virsh", ["-c", "qemu:///system", ...argv], {
    encoding: "utf8",
    env,
    stdio: ["ignore", "pipe", "pipe"], // without a terminal on stdin virsh asks for no password
    timeout: TIMEOUT_MS,
  });
}
