// Starts libvirt's daemon when it does not answer.

import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { userInfo } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { findTool, SEARCH_PATH } from "./find.mjs";
import { daemonCommands } from "./packages.mjs";

const DEADLINE_MS = 15_000;

export async function startDaemon() {
  let complaint = askDaemon();
  if (complaint === "") return;
  const commands = daemonCommands(existsSync("/run/systemd/system"), !findTool("libvirtd"));
  if (process.getuid?.() !== 0) {
    const typed = commands.map((argv) => `sudo ${argv.join(" ")}`).join(" && ");
    console.error(
      `The hypervisor, qemu:///system, does not answer: ${complaint}\n` +
        `If it is not running:\n  ${typed}\n` +
        "If it is, this user may not use it yet; after this, log in again:\n" +
        `  sudo usermod --append --groups libvirt ${userInfo().username}`,
    );
    return;
  }
  const said = commands.map((argv) => run(argv, 60_000).stderr).join("");
  const deadline = Date.now() + DEADLINE_MS;
  while (complaint !== "" && Date.now() < deadline) {
    await sleep(50);
    complaint = askDaemon();
  }
  if (complaint !== "") {
    console.error(`${said}The hypervisor, qemu:///system, does not answer: ${complaint}`);
  }
}

/** What virsh has to say against qemu:///system; nothing when it answers. */
function askDaemon() {
  const { status, stderr } = run(["virsh", "-c", "qemu:///system", "uri"], 10_000);
  return status === 0 ? "" : stderr.trim() || "no answer within 10 s";
}

/**
 * @param {string[]} argv
 * @param {number} timeout
 */
function run(argv, timeout) {
  const [command = "", ...args] = argv;
  const env = { ...process.env, PATH: SEARCH_PATH, LC_ALL: "C" };
  return spawnSync(command, args, {
    encoding: "utf8",
    env,
    // Without a terminal on stdin virsh asks for no password.
    stdio: ["ignore", "ignore", "pipe"],
    timeout,
  });
}
