/** The candidates for the next word of a command line: commands, options, functions, fields and their values. */
import type { Argument, Command, Option } from "commander";
import { accepts, type Schema, schemaOf, within } from "../../core/json-schema.ts";
import { fieldsOf, kindOf, wordsOf } from "../input/fields.ts";
import type { Target } from "../target.ts";
import { names } from "./names.ts";

export interface Candidate {
  value: string;
  note?: string | undefined;
  /** More of the same word follows. */
  open?: boolean;
}

/** The candidates that begin with `current`, after `words`. */
export async function candidates(program: Command, words: string[], current: string) {
  const { command, positional, options, pending } = walk(program, words);
  const found = await next();
  return found.filter(({ value }) => value.startsWith(current));

  async function next(): Promise<Candidate[]> {
    if (pending) return valuesOf(pending, "", options);
    const [, long = ""] = /^(--[\w-]+)=/.exec(current) ?? [];
    const given = command.options.find((one) => one.long === long);
    if (given) return valuesOf(given, `${long}=`, options);
    if (current.startsWith("-")) {
      return command.options.map(({ long, description }) => ({
        value: `${long}`,
        note: description,
      }));
    }
    const arg =
      command.registeredArguments[positional.length] ?? command.registeredArguments.at(-1);
    const below = positional.length > 0 ? [] : subcommands(command);
    return [...below, ...(arg ? await argument(arg, positional, options, current) : [])];
  }
}

function subcommands(command: Command): Candidate[] {
  return command.commands.flatMap((one) => {
    const hidden = !command.createHelp().visibleCommands(command).includes(one);
    return hidden ? [] : [{ value: one.name(), note: one.description() }];
  });
}

/** Parses the preceding words: the subcommand, its arguments, its options, and the option that expects a value next. */
function walk(program: Command, words: string[]) {
  let command = program;
  let pending: Option | undefined;
  const positional: string[] = [];
  const options: Record<string, string> = {};
  for (const word of words) {
    const [, long = "", value] = /^(--[\w-]+)(?:=(.*))?$/s.exec(word) ?? [];
    const option = command.options.find((one) => one.long === long);
    if (pending) {
      options[pending.attributeName()] = word;
      pending = undefined;
    } else if (option?.required) {
      if (value === undefined) pending = option;
      else options[option.attributeName()] = value;
    } else if (!word.startsWith("--")) {
      const sub = command.commands.find((one) => one.name() === word);
      if (sub) command = sub;
      else positional.push(word);
    }
  }
  return { command, positional, options: options as Target, pending };
}

async function valuesOf({ long, argChoices }: Option, before: string, { server }: Target) {
  const values = argChoices ?? (server ? [] : await known(`${long}`));
  return values.map((value) => ({ value: before + value }));
}

async function known(option: string): Promise<string[]> {
  if (option === "--function") return functionNames();
  return ["--host", "--domain"].includes(option) ? names(option.slice(2)) : [];
}

async function functionNames() {
  const { functionPaths } = await import("../../function/load.ts");
  return (await functionPaths()).map((path) => path.slice(1));
}

async function argument(
  arg: Argument,
  [name = "", ...items]: string[],
  target: Target,
  current: string,
): Promise<Candidate[]> {
  if (arg.name() === "function") return (await functionNames()).map((value) => ({ value }));
  if (/^jobs?$/.test(arg.name())) {
    const { jobIds } = await import("./job-ids.ts");
    const ids = await jobIds(target).catch(() => []); // `cancel` can be said without
    return ids.filter(({ value }) => ![name, ...items].includes(value));
  }
  if (arg.name() === "domain") return (await names("domain", target)).map((value) => ({ value }));
  if (arg.name() !== "fields") return (arg.argChoices ?? []).map((value) => ({ value }));
  const { loadFunction } = await import("../../function/load.ts");
  const { spec } = await loadFunction(`/${name.replace(/^\/+/, "")}`);
  const schema = schemaOf(spec.input);
  const [before, key = "", brackets = ""] = /^([\w-]+)((?:\[[^\]]*\])*):?=/.exec(current) ?? [];
  if (before === undefined) return keys(schema, items);
  const path = [key, ...[...brackets.matchAll(/\[([^\]]*)\]/g)].map(([, sub]) => `${sub}`)];
  let at = path.reduce(within, schema);
  if (accepts(at, "array")) at = within(at, "");
  const known = await names(`${at["x-libvirt"]}`, target, givenNames(schema, items));
  const values = [...wordsOf(at), ...known];
  return values.map((value) => ({ value: before + value }));
}

/** The names that the line gives already, by their kind: `{ pool: "default" }`. */
function givenNames(schema: Schema, items: string[]): Record<string, string> {
  const given = fieldsOf(schema).flatMap(({ name, schema: { "x-libvirt": kind } }) => {
    const item = items.find((one) => one.startsWith(`${name}=`));
    return kind && item ? [[`${kind}`, item.slice(name.length + 1)]] : [];
  });
  return Object.fromEntries(given.reverse()); // the first of a kind is kept: pool before target_pool
}

/** The fields that are not given yet, or may be given again; the known ones of an object one by one. */
function keys(schema: Schema, items: string[], inside = ""): Candidate[] {
  return fieldsOf(schema).flatMap(({ name, schema: field }) => {
    const key = inside ? `${inside}[${name}]` : name;
    const inner = keys(field, items, key);
    if (inner.length > 0) return inner;
    const again = accepts(field, "array", "object");
    if (!again && items.some((item) => /^[^:=]*/.exec(item)?.[0] === key)) return [];
    const value = accepts(field, "object") ? `${key}[` : `${key}=`;
    return [{ value, note: field.description ?? kindOf(field), open: true }];
  });
}
