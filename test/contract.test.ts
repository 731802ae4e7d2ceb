/** What every file in functions/ keeps to. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import type { HyperFunction } from "../runtime/function/define.ts";
import { FUNCTIONS, loadFunctions } from "../runtime/function/load.ts";

const loaded = await loadFunctions();

test("there are functions, and nothing else in their folder", () => {
  expect(loaded.length).toBeGreaterThan(10);
  expect(loaded.map(({ path }) => path)).toEqual(
    expect.arrayContaining(["/health", "/libvirt/networks", "/libvirt/network/create"]),
  );
});

describe.each(loaded)("$path", ({ path, function: found, error }) => {
  const one = found as HyperFunction;
  const file = join(FUNCTIONS, `${path}.ts`);
  const source = readFileSync(file, "utf8");

  test("loads", () => {
    expect(error).toBeUndefined();
    expect(one.fetch).toBeTypeOf("function");
  });

  test("has a path of plain words", () => {
    expect(path).toMatch(/^(\/[a-z][a-z0-9_-]*)+(\.json)?$/);
  });

  test("begins with a line that says its method, its URL and what it does", () => {
    const [line = ""] = source.split("\n");
    const [, method, url] = line.match(/^\/\*\* (GET|POST) (\/[^\s?:]*)(?:\?\S+)?: .+ \*\/$/) ?? [];
    expect([method, url], line).toEqual([one.spec.method, path]);
  });

  test("has a summary of one line, and a message or an answer of its own shape", () => {
    expect(one.spec.summary).toMatch(/^[A-Z].*[^.\s]$/);
    const { message } = one.spec;
    if (typeof message !== "function" && message !== null) expect(message).toMatch(/^[A-Z]/);
    // a text has no envelope
    if (one.spec.media) expect([message, one.spec.output.type]).toEqual([null, "string"]);
  });

  test("says what a caller must be allowed: a GET looks, a POST does more", () => {
    const words = one.spec.method === "GET" ? ["read"] : ["operate", "admin"];
    expect(words).toContain(one.spec.access);
  });

  test("refuses an unknown key, and names it", () => {
    const { error } = one.spec.input.safeParse({ "no such key": 1 });
    expect(error?.issues).toContainEqual(
      expect.objectContaining({ code: "unrecognized_keys", keys: ["no such key"] }),
    );
  });

  test("has schemas that can be written down, and a GET only what a query can say", () => {
    const input = z.toJSONSchema(one.spec.input, { io: "input" });
    expect(input).toMatchObject({ type: "object", additionalProperties: false });
    z.toJSONSchema(one.spec.output, { io: "input" });
    expect(Object.keys(one.spec.input.shape)).not.toContain("host"); // ?host= is the hypervisor
  });

  test("has examples that are good inputs", () => {
    for (const example of one.spec.examples ?? []) {
      expect(one.spec.input.safeParse(example).error?.message).toBeUndefined();
    }
  });

  test("imports from the runtime and from packages, never from another function", () => {
    const imported = [...source.matchAll(/(?:from|import)\s*\(?\s*["'](.+?)["']/g)].map(
      ([, name]) => `${name}`,
    );
    for (const name of imported.filter((one) => one.startsWith("."))) {
      expect(relative(FUNCTIONS, join(dirname(file), name))).toMatch(/^\.\.\/runtime\//);
    }
  });
});
