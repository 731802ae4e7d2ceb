#!/usr/bin/env node
// `npm run test:release -- RELEASE [WORDS...]`: the live tests in the root file system of another Debian release
// (`trixie`, `forky`), with its libvirt, QEMU and SSH. With words: only the files whose paths hold one of them.
// `npm run test:release -- RELEASE -- CMD ARGS...` runs CMD in a lab there.

import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runMain } from "../../deploy/child.mjs";
import { SEARCH_PATH } from "../../deploy/find.mjs";
import { CACHE, releaseRoot } from "./release-root.mjs";

/** Which files say nothing about another release, and why. */
const NOT_THERE = {
  "cli/scripts":
    "npm packs and installs the package: nothing of the release takes part, and its root has no npm",
};

const args = process.argv.slice(2);
const separator = args.includes("--") ? args.indexOf("--") : args.length;
const [release = "", ...words] = args.slice(0, separator);
const command = args.slice(separator + 1);
if (!/^[a-z]+$/.test(release)) {
  console.error("Usage: npm run test:release -- trixie|forky [WORDS...]");
  process.exit(2);
}
const project = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");

/** The live tests, and word of those that do not apply. */
function tests() {
  const files = readdirSync(join(project, "test/live"), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith(".test.ts"))
    .filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
  return files.filter((file) => {
    const reason = Object.entries(NOT_THERE).find(([name]) => file.startsWith(`${name}.`))?.[1];
    if (reason) console.log(`${file} does not apply: ${reason}.`);
    return !reason;
  });
}

const root = releaseRoot(release);
const work = mkdtempSync(join(tmpdir(), "hypersdk-release-"));
const enter = fileURLToPath(new URL("release-enter.sh", import.meta.url));
try {
  process.exitCode = await runMain(
    [
      ...[
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
      ],
      ...["sh", enter, root, project, CACHE, work],
      ...(command.length > 0
        ? ["node", "test/lab/lab.mjs", ...command]
        : ["node", "test/lab/all.mjs", ...tests()]),
    ],
    {
      env: {
        ...process.env,
        PATH: `${join(project, "node_modules/.bin")}:${SEARCH_PATH}`,
        TMPDIR: "/tmp",
      },
    },
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
