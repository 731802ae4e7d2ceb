/** `hypersdk call libvirt/network/create name=lan`: one call, in this process or of a server. */
import type { Command } from "commander";
import type { HyperFunction } from "../../function/define.ts";
import { help } from "../help.ts";
import { schemaOf } from "../input/fields.ts";
import { readItems } from "../input/request-items.ts";
import { meant, mistakes } from "../input/suggestions.ts";
import { print } from "../output.ts";
import { watched } from "../progress.ts";
import { report, UsageError } from "../report.ts";
import { caller, type Target } from "../target.ts";

interface Options extends Target {
  json?: boolean;
  help?: boolean;
}

export function call(program: Command) {
  const command = program
    .command("call")
    .description("call a function; with --help: what it takes")
    .argument("[function]", "such as libvirt/network/create; hypersdk list has them all")
    .argument("[fields...]", "key=text, key:=json, key[sub]=text, @file.json, - for standard input")
    .option(
      "--host <alias>",
      "hypervisor: an alias or a libvirt URI; kvm1,kvm2 or * to read several",
    )
    .option("--server <url>", "call this server; without it the function runs in this process")
    .option("--token <token>", "for the server; HYPERSDK_TOKEN unless given")
    .option("--json", "JSON, as when piped")
    .helpOption(false)
    .option("-h, --help", "this, or what the function takes");
  command.action(async (name: string | undefined, items: string[], options: Options) => {
    if (options.help && !name) return command.outputHelp();
    if (!name) command.error("error: missing argument 'function'; hypersdk list has them all");
    else await run(name.replace(/^\/+/, ""), items, options);
  });
}

async function run(name: string, items: string[], options: Options) {
  try {
    const one = await find(name);
    if (options.help) return console.log(help(name, one.spec));
    const input = readInput(name, items, one);
    const { method } = one.spec;
    const call = await caller(options);
    const data = await watched(name, (signal) => call(`${method} /${name}`, input, { signal }));
    const { isSeveral } = await import("../../http/fleet.ts");
    const { json, host } = options;
    print(data, { json, message: isSeveral(host) ? undefined : sentence(one.spec, data, input) });
    const { failed } = (data ?? {}) as { failed?: unknown };
    if (typeof failed === "number" && failed > 0) process.exitCode = 1; // a batch in which some domains failed
  } catch (error) {
    process.exitCode = report(error as Error, options.json);
  }
}

function sentence({ message, input: schema }: HyperFunction["spec"], data: unknown, input: object) {
  return typeof message === "function"
    ? message(data, schema.parse(input))
    : (message ?? undefined);
}

async function find(name: string): Promise<HyperFunction> {
  const { functionPaths, loadFunction } = await import("../../function/load.ts");
  const names = (await functionPaths()).map((path) => path.slice(1));
  if (names.includes(name)) return loadFunction(`/${name}`);
  throw new UsageError(
    `${name}: no such function${meant(name, names) || "; hypersdk list has them all"}`,
  );
}

function readInput(name: string, items: string[], { spec }: HyperFunction) {
  const schema = schemaOf(spec.input);
  const input = readItems(items, schema);
  const { error } = spec.input.safeParse(input);
  if (!error) return input;
  const lines = mistakes(error, input, schema);
  throw new UsageError([...lines, `hypersdk call ${name} --help tells what it takes`].join("\n  "));
}
