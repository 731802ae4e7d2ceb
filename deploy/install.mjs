import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { findTool } from "./find.mjs";
import { installAdvice, installCommands, missingTools, packageManager } from "./packages.mjs";

/** @typedef {import("./packages.mjs").Tool} Tool */

const root = process.getuid?.() === 0;

/**
 * Installs what is missing where that is ours to do (root on Debian or Ubuntu), and says how to
 * where it is not. What is still missing afterwards is the answer.
 * @param {Tool[]} tools
 */
export function installTools(tools) {
  const missing = missingTools(tools, findTool);
  if (missing.length === 0) return [];
  const manager = packageManager(osRelease());
  if (manager !== "apt" || !root) {
    console.error(installAdvice(manager, missing, root));
    return missing;
  }
  for (const argv of installCommands(manager, missing)) runQuietly(argv);
  const still = missingTools(tools, findTool);
  if (still.length > 0) console.error(installAdvice(manager, still, root));
  return still;
}

/** @param {string[]} argv */
function runQuietly(argv) {
  const [command = "", ...args] = argv;
  console.error(`${argv.join(" ")} ...`);
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    encoding: "utf8",
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: 1_800_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status === 0) return;
  // Not the end: `update` fails for one bad source while the packages come from another.
  console.error(`${stdout}${stderr}${argv.join(" ")} failed${error ? `: ${error.message}` : "."}`);
}

function osRelease() {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}
