/** `hypersdk new libvirt/domain/rename --method POST --access admin`: a function, its test, its typed call. */
import { type Command, Option } from "commander";
import type { Methods } from "../../core/method.ts";

export function newCommand(program: Command) {
  program
    .command("new")
    .description("make a function in functions/, its test, and its line in the typed client")
    .argument("<path>", "the URL's path, such as libvirt/domain/rename")
    .addOption(
      new Option(
        "--method <method>",
        "GET reads, POST and PUT change something; GET,POST reads by either",
      )
        .choices(["GET", "POST", "PUT", "GET,POST"])
        .default("GET"),
    )
    .addOption(
      new Option("--access <access>", "what a caller must be allowed; read for a GET").choices([
        "read",
        "operate",
        "admin",
      ]),
    )
    .option("--summary <text>", "one line for people; made of the path unless given")
    .action(async (name: string, options) => {
      const { newFunction } = await import("../../dev/new-function.ts");
      for (const file of await newFunction({ name, ...options, method: methods(options.method) }))
        console.log(file);
      const text = "replace the virsh command in the function, then npm run test:unit";
      process.stderr.write(`hypersdk: ${text}\n`);
    });
}

const methods = (text: string) => (text.includes(",") ? text.split(",") : text) as Methods;
