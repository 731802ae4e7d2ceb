// PostgreSQL's programs, for the private database of a server that names none.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { configuration } from "./configuration.mjs";
import { findTool } from "./find.mjs";
import { installTools } from "./install.mjs";
import { DATABASE_TOOLS, missingTools } from "./packages.mjs";

/** Debian's package would make a database cluster and start it; this says that it is not to. */
const FOLDER = "/etc/postgresql-common/createcluster.d";
const NO_CLUSTER = `${FOLDER}/hypersdk.conf`;

/** Everything but jobs works without it, so nothing that fails here ends a start. */
export function prepareDatabase() {
  if (namesDatabase(configuration())) return;
  try {
    const missing = installDatabase();
    if (missing.length > 0) console.error("Jobs need it; everything else works without it.");
  } catch (error) {
    console.error(`PostgreSQL cannot be installed: ${error}`);
  }
}

/** Like `installTools`, but no cluster is made or started. */
export function installDatabase() {
  if (missingTools(DATABASE_TOOLS, findTool).length === 0) return [];
  const debian = process.getuid?.() === 0 && findTool("apt-get");
  if (!debian) return installTools(DATABASE_TOOLS);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(NO_CLUSTER, "create_main_cluster = false\n");
  try {
    return installTools(DATABASE_TOOLS);
  } finally {
    rmSync(NO_CLUSTER); // other clusters are the administrator's affair
  }
}

/**
 * Whether a configuration names a server: `url` in `[database]`, `database.url =`, `database = { url`.
 * @param {string} toml
 */
export function namesDatabase(toml) {
  const tables = toml.split(/^\s*\[/m);
  return (
    tables.some((text) => /^\s*database\s*\]/.test(text) && /^\s*url\s*=/m.test(text)) ||
    /^\s*database\s*(\.\s*url\s*=|=\s*\{[^}]*\burl\s*=)/m.test(toml)
  );
}
