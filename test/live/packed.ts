/**
 * Another project that has this one installed, from the tarball that `npm pack` makes. The lab has no
 * network: everything else comes from npm's cache, where `npm ci` has put it.
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = join(import.meta.dirname, "../..");

export async function installPacked(folder: string) {
  const pack = await run("npm", ["pack", "--json", "--pack-destination", folder], { cwd: root });
  const [{ filename }] = JSON.parse(pack.stdout.slice(pack.stdout.indexOf("[\n")));
  const dependencies = { hypersdk: `file:${filename}` };
  const project = { name: "consumer", private: true, type: "module", dependencies };
  await writeFile(join(folder, "package.json"), JSON.stringify(project));
  const lock = await lockOf(join(folder, filename), dependencies);
  await writeFile(join(folder, "package-lock.json"), JSON.stringify(lock));
  await run("npm", ["ci", "--offline", "--ignore-scripts"], { cwd: folder }).catch((cause) => {
    const text = "npm's cache lacks a package; outside the lab, run: npm ci";
    throw new Error(cause.stderr.includes("ENOTCACHED") ? text : cause.stderr, { cause });
  });
}

/** Our own lock with the tarball in it: the same versions, found in the cache by their sums. */
async function lockOf(tarball: string, dependencies: Record<string, string>) {
  const { packages } = JSON.parse(await readFile(join(root, "package-lock.json"), "utf8"));
  const { "": own, ...others } = packages;
  const registry = (await run("npm", ["config", "get", "registry"])).stdout.trim();
  const installed = Object.entries<{ version: string; dev?: boolean }>(others)
    .filter(([, { dev }]) => !dev)
    .map(([path, entry]) => {
      const name = path.replace(/^.*node_modules\//, "");
      const file = `${name.split("/").at(-1)}-${entry.version}.tgz`;
      return [path, { ...entry, resolved: `${registry}${name}/-/${file}` }];
    });
  const sum = createHash("sha512")
    .update(await readFile(tarball))
    .digest("base64");
  const { devDependencies, ...hypersdk } = own;
  return {
    name: "consumer",
    lockfileVersion: 3,
    requires: true,
    packages: {
      "": { name: "consumer", dependencies },
      "node_modules/hypersdk": {
        ...hypersdk,
        resolved: dependencies.hypersdk,
        integrity: `sha512-${sum}`,
      },
      ...Object.fromEntries(installed),
    },
  };
}
