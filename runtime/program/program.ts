/** The entry of a bundle: serves its functions, or, called with arguments, runs one of them and prints JSON. */
import "./zod-jitless.ts";
import { log } from "../core/log.ts";
import { loadFunctions } from "../function/load.ts";
import { createRouter } from "../server/router.ts";
import { cannotStart, startServer } from "../server/start.ts";

/** A start on demand answers first; loading the logger would delay the first answer. */
const LOG_DELAY_MS = 1000;

async function serve() {
  if (!process.env.LOG_LEVEL) log.level = "info";
  const functions = await loadFunctions();
  const changes = functions.some(
    ({ function: one }) => one?.spec.access !== "read" || one.spec.upgrade !== undefined,
  );
  const { url } = await startServer(createRouter(functions), { changes });
  const paths = functions.map(({ path }) => path).join(", ");
  setTimeout(() => log.info(`${paths} on ${url()}`), LOG_DELAY_MS).unref();
}

async function runOnce(args: string[]) {
  const { run } = await import("./run.ts"); // a server needs no command line
  const functions = await loadFunctions();
  await run(
    args,
    functions.map(({ path }) => path.slice(1)),
  );
}

const args = process.argv.slice(2);
if (args.length > 0) void runOnce(args);
else void serve().catch(cannotStart);
