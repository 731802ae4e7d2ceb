/** `hypersdk call libvirt/network/create name=lan`: one call, in this process or of a server. */
import type { Command } from "commander";
import { isBytesOut } from "../../core/bytes.ts";
import { schemaOf } from "../../core/json-schema.ts";
import { methodsOf } from "../../core/method.ts";
import { type Events, eventShape } from "../../core/stream.ts";
import type { HyperFunction } from "../../function/define.ts";
import { type ByteOptions, bytesFor, saveBytes } from "../bytes.ts";
import { help } from "../help.ts";
import { readItems } from "../input/request-items.ts";
import { meant, mistakes } from "../input/suggestions.ts";
import { print, printEvents } from "../output.ts";
import { watched } from "../progress.ts";
import { report, reportParts, UsageError } from "../report.ts";
import { checkJob, submit } from "../submit.ts";
import { caller, type Target } from "../target.ts";

interface Options extends Target, ByteOptions {
  async?: boolean;
  idempotencyKey?: string;
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
    .option("--async", "as a job, whose ID is printed; hypersdk job ID follows it")
    .option("--idempotency-key <key>", "the same call with it is carried out once a day")
    .option("--input <file>", "bytes for a function that takes some; standard input unless given")
    .option(
      "--output <file>",
      "for the bytes of a function that gives some; standard output unless given",
    )
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
    if (options.async) checkJob(name, one.spec);
    const body = bytesFor(name, one.spec, options);
    const call = await caller(options, one.spec.access);
    const endpoint = `${methodFor(one.spec, input, body !== undefined)} /${name}`;
    if (options.async) {
      return await submit(call, endpoint, input, options);
    }
    if (eventShape(one.spec, input)) {
      return await watched(undefined, async (signal) =>
        printEvents((await call(endpoint, input, { signal })) as Events, options),
      );
    }
    const { json, host, idempotencyKey } = options;
    const data = await watched(
      name,
      async (signal, progress) => {
        const data = await call(endpoint, input, { signal, progress, idempotencyKey, body });
        if (isBytesOut(data)) await saveBytes(data, options, progress);
        return data;
      },
      { quiet: json ?? false },
    );
    if (isBytesOut(data)) return;
    const { isSeveral } = await import("../../http/fleet.ts");
    print(data, { json, message: isSeveral(host) ? undefined : sentence(one.spec, data, input) });
    reportParts(data);
  } catch (error) {
    process.exitCode = report(error as Error, options.json);
  }
}

/** Of two methods, the one with a body where there are bytes for it, or the input has a list or an object. */
function methodFor(spec: HyperFunction["spec"], input: object, hasBytes: boolean) {
  const deep =
    hasBytes || Object.values(input).some((value) => typeof value === "object" && value !== null);
  return methodsOf(spec).find((method) => (method === "GET") !== deep) ?? methodsOf(spec)[0];
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
