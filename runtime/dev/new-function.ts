/** Makes a function, its test and its line in the typed client, for `hypersdk new`. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Access } from "../access/caller.ts";
import { HyperError } from "../core/errors.ts";
import { type Methods, methodsOf } from "../core/method.ts";
import { writeApiTypes } from "./api-types.ts";
import { functionText, type NewFunction, testText } from "./templates.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface NewRequest {
  /** As a person writes it: `libvirt/domain/rename`, `/libvirt/…` or `functions/libvirt/….ts`. */
  name: string;
  method: Methods;
  access?: Access | undefined;
  summary?: string | undefined;
}

/** Resolves to the paths of the files made, from the root. Throws `invalid_input`, and then has made nothing. */
export async function newFunction(request: NewRequest, root = ROOT): Promise<string[]> {
  const wanted = check(request);
  const files = {
    [`functions${wanted.path}.ts`]: functionText(wanted),
    [`test/functions${wanted.path}.test.ts`]: testText(wanted),
  };
  if (!existsSync(join(root, "test/fixtures/fake.ts"))) {
    throw refusal("new works in a checkout of the repository, where functions/ and test/ are");
  }
  for (const file of Object.keys(files)) {
    if (existsSync(join(root, file))) throw refusal(`${file} exists already`);
  }
  const made: string[] = [];
  try {
    for (const [file, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text, { flag: "wx" });
      made.push(file);
    }
    await writeApiTypes(root);
  } catch (error) {
    for (const file of made) rmSync(join(root, file));
    throw error;
  }
  return [...made, "runtime/client/api.ts"];
}

const refusal = (text: string) => new HyperError("invalid_input", text);

/** The rules of test/contract.test.ts, before anything is written. */
function check({ name, method, access, summary }: NewRequest): NewFunction {
  const path = `/${name.replace(/^(\.?\/)*(functions\/)?/, "").replace(/\.ts$/, "")}`;
  if (!/^(\/[a-z][a-z0-9_-]*)+$/.test(path)) {
    const rule = `words of lower-case letters, digits, "-" and "_", each beginning with a letter`;
    throw refusal(`${name}: a path is ${rule}, separated by "/", such as libvirt/domain/rename`);
  }
  const reads = methodsOf({ method }).includes("GET");
  if (reads && (access ?? "read") !== "read") {
    throw refusal(
      `--access ${access}: a GET only reads, which is --access read; use --method POST`,
    );
  }
  if (!reads && access !== "operate" && access !== "admin") {
    const meaning = "operate changes what runs; admin creates, destroys or touches files";
    throw refusal(`--access: a ${method} needs operate or admin (${meaning})`);
  }
  if (summary !== undefined && !/^[A-Z][^"\\`*\n]*[^.\s"\\`*]$/.test(summary)) {
    throw refusal("--summary: one line that begins with a capital, without quotes and final dot");
  }
  return { path, method, access: access ?? "read", summary: summary ?? summaryOf(path, reads) };
}

/** `/libvirt/domain/rename` → "Rename a domain", `GET /libvirt/domain/age` → "Show domain age". */
function summaryOf(path: string, reads: boolean): string {
  const words = path.replaceAll(/[-_]/g, " ").split("/").slice(1);
  const [object = "", ...rest] =
    words[0] === "libvirt" && words.length > 1 ? words.slice(1) : words;
  const last = rest.pop();
  if (reads || last === undefined) {
    return `Show ${[object, ...rest, last].filter(Boolean).join(" ")}`;
  }
  const noun = [object, ...rest].join(" ");
  return `${last[0]?.toUpperCase()}${last.slice(1)} ${/^[aeiou]/.test(noun) ? "an" : "a"} ${noun}`;
}
