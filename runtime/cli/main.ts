/** The command line: `hypersdk COMMAND`. Each subcommand is one file, which loads what it needs when it runs. */
import { Command } from "commander";
import { log } from "../core/log.ts";
import { version } from "../core/version.ts";
import { build } from "./commands/build.ts";
import { call } from "./commands/call.ts";
import { complete } from "./commands/complete.ts";
import { completion } from "./commands/completion.ts";
import { console_ } from "./commands/console.ts";
import { events } from "./commands/events.ts";
import { job } from "./commands/job.ts";
import { jobs } from "./commands/jobs.ts";
import { list } from "./commands/list.ts";
import { manifest } from "./commands/manifest.ts";
import { newCommand } from "./commands/new.ts";
import { openapi } from "./commands/openapi.ts";
import { serve } from "./commands/serve.ts";
import { token } from "./commands/token.ts";
import { worker } from "./commands/worker.ts";
import { report } from "./report.ts";

if (!process.env.LOG_LEVEL) log.level = "error"; // the exit status and the message of the command say the rest

const program = new Command("hypersdk")
  .description("Drive libvirt: serve its functions, or call them from here.")
  .version(version)
  .exitOverride()
  .enablePositionalOptions() // those after `job cancel` are of that, and not of `job`
  .addHelpText(
    "after",
    "\nExit status: 0 done, 1 refused or failed, 2 used wrongly. Settings: hypersdk.toml, as in the README.",
  );

for (const add of [
  serve,
  worker,
  list,
  call,
  jobs,
  job,
  events,
  console_,
  build,
  manifest,
  openapi,
  newCommand,
  token,
  completion,
  complete,
])
  add(program);

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error as Error);
}
