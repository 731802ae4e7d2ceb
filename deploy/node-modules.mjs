// Installs what package-lock.json asks for, and makes sure that Bun runs.

import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";

const BUN = "node_modules/.bin/bun";

/**
 * @typedef {{ version?: string, integrity?: string, optional?: boolean, dev?: boolean }} Entry
 * @typedef {{ packages: Record<string, Entry> }} Lock
 */

/** @param {boolean} test whether the packages for development are needed too */
export function installModules(test) {
  const lock = readLock("package-lock.json");
  const installed = readLock("node_modules/.package-lock.json");
  if (lock === undefined) throw new Error("package-lock.json is missing or broken.");
  if (installed === undefined || !isInstalled(lock, installed, test)) {
    console.error("Installing the packages of package-lock.json (npm ci) ...");
    // Versions of npm differ in which install scripts they run; only Bun's is needed, just below.
    // Bun runs the packages, so what they ask of Node is no warning.
    run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  }
  // It puts Bun's binary in place.
  if (!bunRuns()) run(process.execPath, ["node_modules/bun/install.js"]);
  if (!bunRuns()) throw new Error(`${BUN} does not run on this machine.`);
}

/**
 * Compares with the list that npm keeps of what it installed, which is much quicker than asking npm.
 * @param {Lock} lock
 * @param {Lock} installed
 * @param {boolean} test
 */
export function isInstalled(lock, installed, test) {
  return Object.entries(lock.packages).every(([path, wanted]) => {
    if (path === "") return true;
    const found = installed.packages[path];
    // Packages for other platforms stay away, and so do those for development in production.
    if (found === undefined) return wanted.optional === true || (wanted.dev === true && !test);
    return found.version === wanted.version && found.integrity === wanted.integrity;
  });
}

/**
 * @param {string} path
 * @returns {Lock | undefined}
 */
function readLock(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    return undefined;
  }
}

function bunRuns() {
  return spawnSync(BUN, ["--version"], { stdio: "ignore", timeout: 30_000 }).status === 0;
}

/**
 * @param {string} command
 * @param {string[]} args
 */
function run(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit", timeout: 900_000 });
  if (status === 0) return;
  throw new Error(`${[command, ...args].join(" ")} failed${error ? `: ${error.message}` : "."}`);
}
