/** The program of a bundle: serves its functions, or, called with arguments, runs one of them and prints JSON. */
import "./early.ts";
import { loadFunctions } from "../functions.ts";
import { log } from "../log.ts";
import { cannotStart, startServer } from "../server.ts";

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

/** As `hypersdk call` has it; the name may be left out where there is one function only. */
async function run(args: string[]) {
  const [{ Command }, { call }, { report }] = await Promise.all([
    import("commander"),
    import("../cli/call.ts"),
    import("../cli/report.ts"),
  ]);
  const functions = await loadFunctions();
  const names = functions.map(({ path }) => path.slice(1));
  const named = names.includes(`${args[0]}`.replace(/^\/+/, ""));
  const [only = ""] = names;
  const program = new Command("hypersdk").exitOverride();
  call(program);
  const words = named || names.length > 1 ? args : [only, ...args];
  await program.parseAsync(["call", "--json", ...words], { from: "user" }).catch((error) => {
    process.exitCode = report(error);
  });
}

const args = process.argv.slice(2);
if (args.length > 0) void run(args);
else {
  // where something is to be waited for once the program is read, Bun first collects garbage, for 3 ms
  process.once("beforeExit", () => void serve().catch(cannotStart));
}
