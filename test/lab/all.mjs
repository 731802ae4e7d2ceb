// `node test/lab/all.mjs [WORDS...]`: every test. Three lanes, each in a lab of its own, take the files of the live
// tests from one queue; the lab is reset after each file (see reset.ts). The unit and process tests are two jobs among
// them. With words: only the live files whose paths hold one of them. With `--remote` (`npm run test:remote`): the
// live files, over SSH. With `--jobs` (`npm run test:jobs`): those of clones, volumes, domains and imports, with every slow
// function called as a job. With `HYPERSDK_INSPECT=1` the lab of the first failure is kept, to be entered.

import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** They wait as much as they work: three keep two cores busy. `HYPERSDK_LANES`: fewer, where others use them too. */
const LANES = Number(process.env.HYPERSDK_LANES || 3);

/** Characters of each failed job that are printed again at the end. */
const REASONS = 2500;
/** Failed jobs that run again, alone. */
const MOST_AGAIN = 8;

const inspect = process.env.HYPERSDK_INSPECT === "1";
const remote = process.argv.includes("--remote");
const asJobs = process.argv.includes("--jobs");
const given = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const words = asJobs && given.length === 0 ? ["clone/", "storage/", "domain/", "import/"] : given;
/** What takes longest comes first, so that no other lane waits for it at the end. */
const LONGEST = [
  "clone/cloud-init",
  "clone/template.",
  "process",
  "jobs/crash",
  "server/openapi",
  "clone/template-failure",
  "clone/seal",
  "server/fuzz",
  "jobs/fleet",
  "jobs/cli",
  "storage/upload",
  "clone/clone-linked",
  "clone/clone-failure",
  "domain/batch.",
  "clone/outside-pools-delete",
  "deploy/units",
  "clone/clone.",
  "server/recovery",
  "remote/fleet",
  "stats/stats-frozen",
  "unit",
];

/** @param {string[]} job */
const rank = (job) => {
  const place = LONGEST.findIndex((name) => nameOf(job).startsWith(name));
  return place === -1 ? LONGEST.length : place;
};
/** @param {string[]} job */
const nameOf = (job) => `${job.at(-1)}`.replace(/^live\//, "");

const files = readdirSync(new URL("../live/", import.meta.url), { recursive: true })
  .map(String)
  .filter((name) => name.endsWith(".test.ts"))
  .filter((name) => words.length === 0 || words.some((word) => name.includes(word)));
const others = words.length === 0 && !remote && !asJobs ? ["process", "unit"] : [];
const jobs = [
  ...others.map((name) => ["--maxWorkers=1", "--project", name]), // the other lanes work, too
  ...files.map((name) => ["--project", "live", `live/${name}`]),
].sort((a, b) => rank(a) - rank(b));

const queue = [...jobs];
/** @typedef {{ job: string[], name: string, why: string }} Failure */
/** @type {Failure[]} */
const failed = [];
/** @type {[name: string, seconds: number, cpuSeconds: number][]} */
const times = [];

/** What vitest says of the failed tests, or else the end of the output: whoever sees only the end of a log sees why. */
function reasons(/** @type {string} */ output) {
  const begins = output.search(/Failed (Tests|Suites) \d+/);
  return begins === -1 ? output.slice(-REASONS) : output.slice(begins, begins + REASONS);
}

/** Prints a job whole, so that those of two lanes do not mix. */
function report(/** @type {string[]} */ job, /** @type {import("./lane.ts").Result} */ result) {
  const { passed, output, seconds, cpuSeconds, left } = result;
  const name = nameOf(job);
  times.push([name, seconds, cpuSeconds]);
  if (!passed) failed.push({ job, name, why: reasons(output) });
  const lines = output.split("\n");
  // the title of a test that is left out says why it does not apply here
  const skipped = lines.filter((line) => line.includes("↓"));
  const text = passed ? [...skipped, ...lines.slice(-8)].join("\n") : output;
  const remains = left.map((one) => `\n  ${one}`).join("");
  process.stdout.write(
    `\n${name}: ${passed ? "passed" : "FAILED"}, ${cpuSeconds.toFixed(1)} s on a core\n${text}`,
  );
  if (left.length > 0) process.stdout.write(`${name} has left what cannot be removed:${remains}\n`);
}

/** A lab that takes jobs until the queue is empty, or until one has left what cannot be removed. */
function lane() {
  const lab = fileURLToPath(new URL("lab.mjs", import.meta.url));
  const env = {
    ...process.env,
    ...(remote && { HYPERSDK_REMOTE: "1" }),
    ...(asJobs && { HYPERSDK_JOBS: "1" }),
  };
  const child = spawn(process.execPath, [lab, "bun", "test/lab/lane.ts"], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  child.stdin.on("error", () => {}); // it has ended
  /** @type {string[] | undefined} */
  let current;
  const next = () => {
    current = queue.shift();
    if (current) child.stdin.write(`${JSON.stringify(current)}\n`);
    else child.stdin.end();
  };
  next();
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (!current) return;
    /** @type {import("./lane.ts").Result} */
    const result = JSON.parse(line);
    report(current, result);
    current = undefined;
    // a lane that cannot be used again ends by itself
    if (result.left.length === 0 && (result.passed || !inspect)) next();
  });
  return new Promise((/** @type {(value?: unknown) => void} */ resolve) => {
    child.on("close", (code, signal) => {
      if (current) {
        const output = `its lab ended: ${signal ?? `exit ${code}`}\n`;
        report(current, { passed: false, output, seconds: 0, cpuSeconds: 0, left: [] });
      }
      resolve();
    });
  });
}

/**
 * A stall of the machine, or what another lane does, can fail a test that is right. Whatever failed runs once more with
 * nothing beside it, and is named if it passes then; where much has failed, that is not why.
 */
async function runAgain() {
  if (inspect || failed.length > MOST_AGAIN) return [];
  const first = failed.splice(0);
  queue.push(...first.map(({ job }) => job));
  while (queue.length > 0) await lane();
  return first.filter(({ name }) => !failed.some((one) => one.name === name));
}

const began = performance.now();
await Promise.all(
  Array.from({ length: Math.min(LANES, jobs.length) }, async () => {
    while (queue.length > 0) await lane();
  }),
);
/** What has failed beside others, and passed alone. */
const flaky = await runAgain();
const cpu = times.reduce((sum, [, , cpuSeconds]) => sum + cpuSeconds, 0);
const slowest = times.sort((a, b) => b[1] - a[1]).slice(0, 12);
const minutes = ((performance.now() - began) / 60_000).toFixed(1);
console.log(
  `\nlongest (on a core): ${slowest.map(([name, s, c]) => `${name} ${s.toFixed()} s (${c.toFixed()})`).join(", ")}`,
);
const namesOf = (/** @type {Failure[]} */ all) => all.map(({ name }) => name).join(", ");
for (const { name, why } of flaky)
  console.log(`\n${name} failed beside others, and passed alone. It failed so:\n${why}`);
for (const { name, why } of failed) console.log(`\n${name} failed:\n${why}`);
if (flaky.length > 0) console.log(`failed, and passed alone: ${namesOf(flaky)}`);
if (failed.length > 0) console.log(`failed: ${namesOf(failed)}`);
console.log(
  `${jobs.length - failed.length} passed, ${failed.length} failed, ${minutes} min, ${cpu.toFixed()} s on a core`,
);
process.exitCode = failed.length > 0 || jobs.length === 0 ? 1 : 0;
