import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import * as z from "zod";
import { readItems } from "../../../../runtime/cli/input/request-items.ts";
import { UsageError } from "../../../../runtime/cli/report.ts";
import { schemaOf } from "../../../../runtime/core/json-schema.ts";

const folder = mkdtempSync(join(tmpdir(), "items-"));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text);
  return join(folder, name);
};

const schema = schemaOf(
  z.strictObject({
    name: z.string().optional(),
    count: z.int().optional(),
    ratio: z.number().optional(),
    start: z.boolean().default(false),
    capacity: z.union([z.number(), z.string()]).optional(),
    kind: z.enum(["a", "b"]).optional(),
    domains: z.array(z.string()).optional(),
    sizes: z.array(z.int()).optional(),
    options: z
      .strictObject({ host: z.string(), keys: z.array(z.string()) })
      .partial()
      .optional(),
    metadata: z.record(z.string(), z.string()).optional(),
  }),
);
const read = (...items: string[]) => readItems(items, schema);

describe("key=text", () => {
  test.each([
    ["name=007", { name: "007" }],
    ["name=true", { name: "true" }],
    ["name=", { name: "" }],
    ["name=a=b:=c@d", { name: "a=b:=c@d" }],
    ["name=two\nlines", { name: "two\nlines" }],
    ["count=7", { count: 7 }],
    ["count=-1.5e3", { count: -1500 }],
    ["count=seven", { count: "seven" }],
    ["count=", { count: "" }],
    ["count=0x10", { count: "0x10" }],
    ["ratio=.5", { ratio: 0.5 }],
    ["start=true", { start: true }],
    ["start=yes", { start: "yes" }],
    ["capacity=50", { capacity: 50 }],
    ["capacity=512MiB", { capacity: "512MiB" }],
    ["kind=a", { kind: "a" }],
    ["unknown=1", { unknown: "1" }],
  ])("%s", (item, input) => {
    expect(read(item)).toEqual(input);
  });

  test("a list: one item, more of it, brackets", () => {
    expect(read("domains=a")).toEqual({ domains: ["a"] });
    expect(read("domains=a", "domains=b,c", "domains[]=d")).toEqual({ domains: ["a", "b,c", "d"] });
    expect(read("sizes=1", "sizes[]=2")).toEqual({ sizes: [1, 2] });
  });

  test("an object: by its keys, as httpie writes them", () => {
    expect(read("options[host]=a b", "options[keys]=k1", "options[keys][]=k2")).toEqual({
      options: { host: "a b", keys: ["k1", "k2"] },
    });
    expect(read("metadata[os.name]=7", "metadata[]=x")).toEqual({ metadata: ["x"] });
    expect(read("metadata[os.name]=7", "metadata[b c]=x")).toEqual({
      metadata: { "os.name": "7", "b c": "x" },
    });
  });

  test("keys of every object's prototype are keys like any other", () => {
    const input = read("__proto__=1", "metadata[__proto__]=x", "metadata[constructor]=y");
    expect(Object.entries(input)).toEqual([
      ["__proto__", "1"],
      ["metadata", expect.anything()],
    ]);
    expect(Object.entries(input.metadata as object)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });
});

test("key:=json stays as it is", () => {
  expect(read('name:="x"', "count:=null", 'domains:=["a","b"]', "capacity:=1")).toEqual({
    name: "x",
    count: null,
    domains: ["a", "b"],
    capacity: 1,
  });
  expect(read("options[keys]:=[1]")).toEqual({ options: { keys: [1] } });
});

test("@file is the whole input, key=@file the text of one field, key:=@file its JSON", () => {
  const whole = file("whole.json", '{"name":"lan","count":1}');
  const key = file("key.pub", "ssh-ed25519 AAAA me\n");
  const list = file("list.json", '["a"]');
  expect(read(`@${whole}`, "count=2")).toEqual({ name: "lan", count: 2 });
  expect(read("count=2", `@${whole}`)).toEqual({ name: "lan", count: 1 });
  expect(read(`options[keys][]=@${key}`)).toEqual({ options: { keys: ["ssh-ed25519 AAAA me"] } });
  expect(read(`domains:=@${list}`)).toEqual({ domains: ["a"] });
});

test.each([
  ["justaword", /justaword: fields are written as key=text, key:=json, @file.json or - for/],
  ["=x", /fields are written as/],
  ["name:=x", /name:=x: not valid JSON: /],
  ["@/nowhere.json", /@\/nowhere.json: .*ENOENT/],
  ["name=@/nowhere", /name=@\/nowhere: .*ENOENT/],
  [`@${file("list2.json", "[1]")}`, /must be a JSON object/],
  [`@${file("broken.json", "{")}`, /not valid JSON/],
])("%s is refused", (item, message) => {
  expect(() => read(item)).toThrow(UsageError);
  expect(() => read(item)).toThrow(message);
});
