#!/usr/bin/env node
// `node test/lab/lab.mjs CMD ARGS...`: runs CMD in a fresh private lab, a machine within this
// machine with its own libvirtd, networks and disks (see inside.sh), and ends the lab with CMD.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runMain } from "../../deploy/child.mjs";
import { findTool, SEARCH_PATH } from "../../deploy/find.mjs";
import { missingTools, TEST_TOOLS, toolNames } from "../../deploy/packages.mjs";

const NAMESPACES = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** @param {string} message */
function fail(message) {
  console.error(`The lab cannot start: ${message}`);
  process.exit(1);
}

if (process.getuid?.() !== 0) fail("it needs root: sudo npm test, or sudo npm run lab");

const missing = missingTools(TEST_TOOLS, findTool);
if (missing.length > 0) {
  fail(`${toolNames(missing)} not found. To install: node deploy/setup.mjs --test`);
}

const probe = spawnSync("unshare", [...NAMESPACES, "true"], { encoding: "utf8", timeout: 10_000 });
if (probe.status !== 0) {
  fail(`namespaces are not allowed here (${probe.stderr.trim()}). A container needs --privileged.`);
}

const command = process.argv.slice(2);
const inside = fileURLToPath(new URL("inside.sh", import.meta.url));
// If this process dies, even by SIGKILL, the kernel kills unshare, and with it everything inside.
const lab = ["setpriv", "--pdeathsig", "KILL", "unshare", ...NAMESPACES, "sh", inside];
const env = {
  ...process.env,
  PATH: SEARCH_PATH,
  HYPERSDK_LAB: "1",
  LIBVIRT_DEFAULT_URI: "qemu:///system",
};

/** @param {import("node:child_process").ChildProcess} child */
function channelOf(child) {
  return /** @type {import("node:net").Socket} */ (child.stdio[3]);
}

/** @param {import("node:child_process").ChildProcess} child unshare, whose one child is the lab's process 1 */
function printHowToEnter(child) {
  const inner = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim();
  const enter = `nsenter --target ${inner} --mount --net --pid --wd="$PWD"`;
  console.error(`\nThe lab is kept (HYPERSDK_INSPECT). To enter it:\n  ${enter}\nCtrl-C ends it.`);
}

process.exitCode = await runMain(
  [...lab, ...(command.length > 0 ? command : [process.env.SHELL || "sh"])],
  { env, stdio: ["inherit", "inherit", "inherit", "pipe"] },
  // Process IDs in there are unknown out here, so signals go by name over descriptor 3.
  (child, signal) => {
    const channel = channelOf(child);
    // Too late for a lab that has just ended.
    channel.once("error", () => {});
    channel.write(`${signal.slice(3)}\n`);
  },
  // The lab says one thing on this channel: that it is kept.
  (child) => channelOf(child).once("data", () => printHowToEnter(child)),
);
