/** The names of libvirt's objects for completion, from the function that lists them. */
import * as z from "zod";
import { methodsOf } from "../../core/method.ts";
import type { HyperFunction } from "../../function/define.ts";
import type { Loaded } from "../../function/load.ts";
import { caller, type Target } from "../target.ts";

/** How long a person who has pressed Tab waits for names. */
const TIMEOUT_MS = 2000;

/** `given`: the names that the command line has already, by kind. Rejects when there is no answer in time. */
export async function names(
  kind: string,
  target: Target = {},
  given: Record<string, string> = {},
): Promise<string[]> {
  if (kind === "host") {
    const { settings } = await import("../../core/settings.ts");
    return Object.keys(settings().hosts);
  }
  if (kind === "undefined") return [];
  const { loadFunctions } = await import("../../function/load.ts");
  const list = findList(await loadFunctions(), kind, given);
  if (!list) return [];
  const call = await caller(target);
  const answer = await inTime(call(list.endpoint, list.input));
  return (answer as Record<string, { name: string }[]>)[list.field]?.map(({ name }) => name) ?? [];
}

/** A signal would not do: a connection that is still being made ignores it. */
export function inTime<T>(answer: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => setTimeout(reject, TIMEOUT_MS));
  return Promise.race([answer, late]);
}

export interface List {
  endpoint: string;
  input: Record<string, string>;
  /** The field of the answer that is the list. */
  field: string;
}

/**
 * The function whose answer has a list with this kind of name, by the mark `x-libvirt`. Of several, the one with the
 * shortest path: `/libvirt/domains` and not `/libvirt/template/list`.
 */
export function findList(
  functions: Loaded[],
  kind: string,
  given: Record<string, string>,
): List | undefined {
  const lists = functions.flatMap(({ path, function: one }) => {
    const isOfOne = one?.spec.scope === undefined; // the call is for one hypervisor, and so are its names
    const field =
      one && isOfOne && methodsOf(one.spec).includes("GET") && listField(one.spec, kind);
    const input = field && inputFrom(one.spec, given);
    return field && input ? [{ endpoint: `GET ${path}`, input, field }] : [];
  });
  return lists.sort((a, b) => a.endpoint.length - b.endpoint.length)[0];
}

type Spec = HyperFunction["spec"];

function kindOf(schema: z.ZodType): unknown {
  const wrapped = schema instanceof z.ZodDefault || schema instanceof z.ZodOptional;
  return wrapped ? kindOf(schema.unwrap() as z.ZodType) : schema.meta()?.["x-libvirt"];
}

function listField({ output }: Spec, kind: string): string | undefined {
  const fields = Object.entries(output instanceof z.ZodObject ? output.shape : {});
  const isList = (field: unknown) =>
    field instanceof z.ZodArray &&
    field.element instanceof z.ZodObject &&
    field.element.shape.name instanceof z.ZodType &&
    kindOf(field.element.shape.name) === kind;
  return fields.find(([, field]) => isList(field))?.[0];
}

/** The input of a list, such as the pool of volumes; undefined when the command line does not give it yet. */
function inputFrom({ input }: Spec, given: Record<string, string>) {
  const fields = Object.entries<z.ZodType>(input.shape).filter(
    ([, field]) => kindOf(field) !== undefined || !field.safeParse(undefined).success,
  );
  const values = fields.map(([name, field]) => [name, given[`${kindOf(field)}`]] as const);
  if (values.some(([, value]) => value === undefined)) return undefined;
  return Object.fromEntries(values) as Record<string, string>;
}
