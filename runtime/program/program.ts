/** The program of a bundle: serves its functions, or, called with arguments, runs one of them and prints JSON. */
import "./zod-jitless.ts";
import { log } from "../core/log.ts";
import { loadFunctions } from "../function/load.ts";
import { cannotStart, startServer } from "../server/start.ts";
import { run } from "./run.ts";

/** Milliseconds: a start on demand answers first; then it loads the logger, and compiles what is used often. */
const LATER = 1000;

async function serve() {
  if (!process.env.LOG_LEVEL) log.level = "info";
  const functions = await loadFunctions();
  const { url } = await startServer(functions);
  const paths = functions.map(({ path }) => path).join(", ");
  setTimeout(() => {
    log.info(`${paths} on ${url()}`);
    Bun.unsafe.setJITPolicy(1);
  }, LATER).unref();
}

async function runOne() {
  const functions = await loadFunctions();
  await run(
    args,
    functions.map(({ path }) => path.slice(1)),
  );
}

const args = process.argv.slice(2);
if (args.length > 0) void runOne();
else {
  // where something is to be waited for once the program is read, Bun first collects garbage, for 3 ms
  process.once("beforeExit", () => void serve().catch(cannotStart));
}
