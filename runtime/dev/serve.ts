/** `npm run dev`: the function host, restarted after each edit and each new file in functions/ and runtime/. */
import { watch } from "node:fs";
import { join } from "node:path";
import { writeApiTypes } from "./api-types.ts";

const ROOT = join(import.meta.dirname, "../..");

/** An editor writes a file in several steps, and a checkout many files. */
const QUIET_MS = 150;
/** Calls that are still running after this time are cut off by the restart. */
const STOP_TIMEOUT_MS = 2000;

let server: Bun.Subprocess | undefined;
let stopping = false;

function start() {
  const started = Bun.spawn([process.execPath, join(ROOT, "runtime/serve.ts")], {
    stdio: ["inherit", "inherit", "inherit"],
  });
  server = started;
  started.exited.then(() => {
    const unexpected = server === started && !stopping;
    if (unexpected) say("the server has ended; it is started again after the next change");
  });
}

async function stop() {
  const ending = server;
  server = undefined;
  if (!ending) return;
  ending.kill("SIGTERM");
  const timer = setTimeout(() => ending.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await ending.exited;
  clearTimeout(timer);
}

async function restart() {
  if (stopping) return;
  await stop();
  await generate();
  start();
}

async function generate() {
  try {
    await writeApiTypes();
  } catch (error) {
    say((error as Error).message);
  }
}

const say = (text: string) => process.stderr.write(`dev: ${text}\n`);

let timer: NodeJS.Timeout | undefined;
let restarts = Promise.resolve();

function changed(folder: string, file: string | null) {
  const path = `${folder}/${file}`;
  if (!path.endsWith(".ts") || path === "runtime/client/api.ts") return;
  clearTimeout(timer);
  timer = setTimeout(() => {
    say(`${path} has changed`);
    restarts = restarts.then(restart);
  }, QUIET_MS);
}

async function end() {
  stopping = true;
  await restarts;
  await stop();
  process.exit(0);
}

for (const folder of ["functions", "runtime"]) {
  watch(join(ROOT, folder), { recursive: true }, (_event, file) => changed(folder, file));
}
process.on("SIGINT", end).on("SIGTERM", end).on("SIGHUP", end);
await generate();
start();
