// `node test/lab/all.mjs [WORDS...]`: every test. Each live file gets a lab of its own, so that none meets
// what another has left, and three run at a time; the unit tests are one job among them. With words: only the
// live files whose names hold one of them. With `--remote` (`npm run test:remote`): the live files, over SSH.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** They wait as much as they work: three keep two cores busy. */
const AT_ONCE = 3;
/** Milliseconds until a job that hangs is ended with its lab. */
const TIMEOUT = 900_000;

const remote = process.argv.includes("--remote");
const words = process.argv.slice(2).filter((word) => word !== "--remote");
const files = readdirSync(new URL("../live/", import.meta.url)).filter(
  (name) =>
    name.endsWith(".test.ts") && (words.length === 0 || words.some((word) => name.includes(word))),
);
/** What takes longest comes first, so that nothing waits for it at the end. */
const LONG = [
  "units",
  "clone",
  "clone-failure",
  "template-failure",
  "clone-linked",
  "openapi",
  "template",
].map((name) => `${name}.test.ts`);
files.sort((a, b) => LONG.indexOf(b) - LONG.indexOf(a));
const jobs = [
  ...(words.length === 0 && !remote ? [["--project", "unit"]] : []),
  ...files.map((name) => ["--project", "live", `live/${name}`]),
];
/**
 * @param {string[]} job
 * @returns {Promise<boolean>} whether it passed
 */
function run(job) {
  const lab = fileURLToPath(new URL("lab.mjs", import.meta.url));
  const vitest = ["bun", "--bun", "run", "vitest", "run", "--config", "test/vitest.config.ts"];
  return new Promise((resolve) => {
    const env = { ...process.env, ...(remote && { HYPERSDK_REMOTE: "1" }) };
    const child = spawn(process.execPath, [lab, ...vitest, ...job], { env, timeout: TIMEOUT });
    let said = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding("utf8").on("data", (text) => {
        said += text;
      });
    }
    child.on("close", (code, signal) => {
      // whole, so that two jobs do not mix
      process.stdout.write(`\n${job.at(-1)}: ${signal ?? (code === 0 ? "passed" : "FAILED")}\n`);
      process.stdout.write(code === 0 ? said.split("\n").slice(-8).join("\n") : said);
      resolve(code === 0);
    });
  });
}

/** @type {(string | undefined)[]} */
const failed = [];
const queue = [...jobs];
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let job = queue.shift(); job; job = queue.shift()) {
      if (!(await run(job))) failed.push(job.at(-1));
    }
  }),
);
const passed = jobs.length - failed.length;
console.log(
  `\n${failed.length > 0 ? `failed: ${failed.join(", ")}\n` : ""}${passed} passed, ${failed.length} failed`,
);
process.exitCode = failed.length > 0 || jobs.length === 0 ? 1 : 0;
