/**
 * `bun test/bench/trace.ts [PATH]` (`--tree DIR`, `--verbose`, `--json`): how often one warm request crosses from one
 * file of `functions/` and `runtime/` into another. Every function tells when it is entered; the way up to the
 * function's `run`, and the whole way, are counted. Another checkout is traced with `--tree`.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { freePort } from "../lab/sshd.ts";
import { instrument } from "./instrument.ts";

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tree: { type: "string", default: join(import.meta.dirname, "../..") },
    verbose: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
const [path = "/libvirt/networks"] = positionals;
const tree = resolve(options.tree);
/** Code is warm and sessions are open after so many requests. */
const WARM_REQUESTS = 20;

interface Entry {
  file: string;
  name: string;
}

const entries: Entry[] = [];
const enter = (file: string, name: string) => entries.push({ file, name });
Object.assign(globalThis, { __enter: enter });

Bun.plugin({
  name: "trace",
  setup(build) {
    const ours = new RegExp(`^${RegExp.escape(tree)}/(functions|runtime)/.*\\.ts$`);
    // not async: Bun refuses to `require` a module that an async plugin loads
    build.onLoad({ filter: ours }, (file) => ({
      contents: instrument(readFileSync(file.path, "utf8"), relative(tree, file.path)),
      loader: "ts",
    }));
  },
});

/** Starts the host of the tree in this process, with libvirt's built-in test hypervisor; returns its URL. */
async function startHost(folder: string): Promise<string> {
  const port = await freePort();
  Object.assign(process.env, {
    PORT: `${port}`,
    HOST: "127.0.0.1",
    LOG_LEVEL: "error",
    LIBVIRT_DEFAULT_URI: "test:///default",
  });
  delete process.env.HYPERSDK_CONFIG;
  process.chdir(folder); // no hypersdk.toml there
  await import(join(tree, "runtime/serve.ts"));
  return `http://127.0.0.1:${port}`;
}

async function get(url: string) {
  const response = await fetch(url);
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
}

/** All that one warm request enters, in order. */
async function trace(url: string): Promise<Entry[]> {
  for (let n = 0; n < WARM_REQUESTS; n++) await get(url);
  await sleep(100); // what follows an answer is over
  entries.length = 0;
  await get(url);
  return [...entries];
}

function count(way: Entry[]) {
  const changes = way.filter(({ file }, i) => i > 0 && file !== way[i - 1]?.file).length;
  return {
    entries: way.length,
    changes_of_file: changes,
    files: new Set(way.map(({ file }) => file)).size,
  };
}

/** A line for each stay in a file: what was entered there. */
function stays(way: Entry[]): string {
  const lines: string[] = [];
  way.forEach(({ file, name }, i) => {
    if (file === way[i - 1]?.file) lines.push(`${lines.pop()}, ${name}`);
    else lines.push(`${file}: ${name}`);
  });
  return lines.join("\n");
}

const folder = mkdtempSync(join(tmpdir(), "trace-"));
const way = await trace((await startHost(folder)) + path);
rmSync(folder, { recursive: true });
const run = way.findIndex(({ file, name }) => file.startsWith("functions/") && name === "run");
if (run === -1) throw new Error(`${path}: no function's run was entered`);
// the change into the function's own file is one of them
const figures = { path, before_run: count(way.slice(0, run + 1)), in_all: count(way) };
if (options.json) console.log(JSON.stringify(figures, undefined, 2));
else {
  console.log(path);
  for (const key of ["before_run", "in_all"] as const) {
    const { entries: entered, changes_of_file, files } = figures[key];
    const where = key === "before_run" ? "up to run" : "in all";
    console.log(`${where}: ${entered} entries, ${changes_of_file} changes of file, ${files} files`);
  }
}
if (options.verbose) {
  console.log(`\n${stays(way.slice(0, run))}\n\nrun, and after it:\n${stays(way.slice(run))}`);
}
process.kill(process.pid, "SIGTERM"); // the host ends as it does for its users
