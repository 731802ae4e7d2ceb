#!/usr/bin/env node
// `npm run test:release -- RELEASE [WORDS...]`: the live tests in the root file system of another Debian release
// (`trixie`, `forky`), with its libvirt, QEMU and SSH. With words: only the files whose paths hold one of them.
// `npm run test:release -- RELEASE -- CMD ARGS...` runs CMD in a lab there.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runMain } from "../../deploy/child.mjs";
import { SEARCH_PATH } from "../../deploy/find.mjs";
import { CACHE, releaseRoot } from "./release-root.mjs";

/** What a run leaves out, and prints. A single test leaves itself out by fixtures/live/release.ts, and its title says why. */
const NOT_THERE = [
  {
    file: "cli/scripts.test.ts",
    why: "it installs the package with npm, where no program of the release takes part and which the root lacks",
  },
  {
    file: "deploy/images.test.ts",
    why: "buildah keeps images in overlays, which cannot lie on the overlay that the root is; they hold a Debian of their own",
  },
];

const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const bin = join(project, "node_modules/.bin");
const args = process.argv.slice(2);
const separator = args.includes("--") ? args.indexOf("--") : args.length;
const [release = "", ...words] = args.slice(0, separator);
const command = args.slice(separator + 1);

/** @param {string} message */
function fail(message) {
  console.error(message);
  process.exit(1);
}
if (!/^[a-z]+$/.test(release)) fail("Usage: npm run test:release -- trixie|forky [WORDS...]");
if (process.getuid?.() !== 0) fail("The lab needs root: sudo npm run test:release");

/** The files to run, after word of what does not apply. */
function applicable() {
  const files = readdirSync(join(project, "test/live"), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".test.ts"))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
  const reasons = NOT_THERE.filter(({ file }) => files.includes(file));
  for (const { file, why } of reasons) console.log(`Not on ${release}: ${file}: ${why}.`);
  const left = files.filter((name) => !reasons.some(({ file }) => name === file));
  if (left.length === 0) fail("No live test is left.");
  return left;
}

const argv =
  command.length > 0
    ? ["node", "test/lab/lab.mjs", ...command]
    : ["node", "test/lab/all.mjs", ...applicable()];
// These take the network, which a lab lacks.
for (const guest of ["guest", "debian", "image", "prometheus"]) {
  const file = join(project, "test/lab", `${guest}.ts`);
  execFileSync(join(bin, "bun"), [file], { stdio: ["ignore", "ignore", "inherit"] });
}
const root = releaseRoot(release);
const work = mkdtempSync(join(tmpdir(), "hypersdk-release-"));
const enter = fileURLToPath(new URL("release-enter.sh", import.meta.url));
// If this process dies, even by SIGKILL, the kernel kills unshare, and with it everything inside.
const isolated = ["setpriv", "--pdeathsig", "KILL", "unshare"];
const namespaces = ["--mount", "--pid", "--fork", "--kill-child"];
try {
  process.exitCode = await runMain(
    [...isolated, ...namespaces, "sh", enter, root, project, CACHE, work, ...argv],
    { env: { ...process.env, PATH: `${bin}:${SEARCH_PATH}`, TMPDIR: "/tmp" } },
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
