/** Runs one function of a bundle as `hypersdk call` does, and prints JSON. */
import { Command } from "commander";
import { call } from "../cli/commands/call.ts";
import { report } from "../cli/report.ts";

/** `names` are the functions of the bundle; the name of the only one may be left out. */
export async function run(args: string[], names: string[]) {
  const named = names.includes(`${args[0]}`.replace(/^\/+/, ""));
  const [only = ""] = names;
  const program = new Command("hypersdk").exitOverride();
  call(program);
  const words = named || names.length > 1 ? args : [only, ...args];
  await program.parseAsync(["call", "--json", ...words], { from: "user" }).catch((error) => {
    process.exitCode = report(error);
  });
}
