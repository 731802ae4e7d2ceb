#!/usr/bin/env node
// Gets this machine ready; it runs on Node alone, before anything is installed.
//   node deploy/setup.mjs [-- CMD ARGS...]          to serve: packages of npm, hypervisor, its daemon, PostgreSQL
//   node deploy/setup.mjs --test [-- CMD ARGS...]   to test: packages of npm, tools (see packages.mjs)
// Ends with CMD, if one is named, in an environment where node_modules/.bin comes first.

import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { runMain } from "./child.mjs";
import { installDatabase, prepareDatabase } from "./database.mjs";
import { prepareHypervisor } from "./hypervisor.mjs";
import { installTools } from "./install.mjs";
import { installModules } from "./node-modules.mjs";
import { STORAGE_TOOLS, TEST_TOOLS } from "./packages.mjs";

const args = process.argv.slice(2);
const separator = args.includes("--") ? args.indexOf("--") : args.length;
const flags = args.slice(0, separator);
const command = args.slice(separator + 1);

const project = fileURLToPath(new URL("..", import.meta.url));
process.chdir(project);

/** @returns {Promise<Record<string, string>>} what CMD's environment needs in addition */
async function prepare() {
  const unknown = flags.find((flag) => flag !== "--test");
  if (unknown !== undefined) throw new Error(`Unknown option: ${unknown}`);
  const test = flags.length > 0;
  installModules(test);
  if (!test) {
    const env = await prepareHypervisor();
    prepareDatabase();
    return env;
  }
  installDatabase(); // first, since it alone installs PostgreSQL without a cluster
  const missing = [...installTools(TEST_TOOLS), ...installTools(STORAGE_TOOLS)];
  if (missing.length > 0) throw new Error("The tests cannot run without them.");
  return {};
}

try {
  const env = await prepare();
  if (command.length > 0) {
    const path = [join(project, "node_modules", ".bin"), process.env.PATH].join(delimiter);
    process.exitCode = await runMain(command, { env: { ...process.env, ...env, PATH: path } });
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
