/** What every file in functions/ keeps to. */
import { readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { describe, expect, test } from "vitest";
import * as z from "zod";
import type { Caller } from "../runtime/access/caller.ts";
import { domainFields, filterDomains, whyNot } from "../runtime/access/domain-scope.ts";
import { isOf, METHODS, methodsOf, methodText } from "../runtime/core/method.ts";
import type { HyperFunction } from "../runtime/function/define.ts";
import { FUNCTIONS } from "../runtime/function/load.ts";
import { allFunctions } from "./fixtures/functions.ts";

const loaded = await allFunctions();

/** A caller who may do everything, with no domain of this hypervisor. */
const limited: Caller = {
  ...{ kind: "token", name: "limited", role: "admin", functions: null, hosts: null },
  ...{ domains: ["own-*"], expires: null },
};

/** One whose domains a query selects: it is refused more functions. */
const selected: Caller = { ...limited, name: "selected", domains: [], select: "tag:prod" };

type Schema = z.core.JSONSchema.BaseSchema;

/** An answer of the declared shape in which every text is "foreign". */
function sample(schema: Schema, root: Schema = schema): unknown {
  const first = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (schema["x-hypersdk"] === "hypervisor") return {}; // what is told of one is about no domain
  if (schema.$ref) return sample(root.$defs?.[schema.$ref.split("/").at(-1) ?? ""] as Schema, root);
  if (first) return sample(first as Schema, root);
  if (schema.enum || schema.const !== undefined) return schema.const ?? schema.enum?.[0];
  if (schema.type === "array") return [sample(schema.items as Schema, root)];
  if (schema.type !== "object") return schema.type === "string" ? "foreign" : 1;
  const fields = Object.entries(schema.properties ?? {});
  return Object.fromEntries(fields.map(([key, field]) => [key, sample(field as Schema, root)]));
}

test("there are functions, and nothing else in their folder", () => {
  expect(loaded.length).toBeGreaterThan(10);
  expect(loaded.map(({ path }) => path)).toEqual(
    expect.arrayContaining(["/health", "/libvirt/networks", "/libvirt/network/create"]),
  );
});

test("a function of several hypervisors that names a domain by its name alone asks itself whose it is", () => {
  const paths = loaded.flatMap(({ path, function: one }) => {
    const isFleet = one?.spec.scope === "fleet" && domainFields(one.spec).fields.length > 0;
    return isFleet && !("vm_path" in one.spec.input.shape) ? [path] : [];
  });
  // the streams ask `ctx.rights`, and the plan refuses a caller whose domains a query selects
  expect(paths).toEqual(["/events", "/libvirt/domains/watch", "/migration/wizard"]);
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

  test("begins with a line that says its methods, its URL and what it does", () => {
    const [line = ""] = source.split("\n");
    const [, methods, url] =
      line.match(/^\/\*\* ([A-Z, ]+) (\/[^\s?:]*)(?:\?\S+)?: .+ \*\/$/) ?? [];
    expect([methods, url], line).toEqual([methodText(one.spec), path]);
  });

  test("has an alias of its own, whose ID is a text of its input", () => {
    const { alias, input } = one.spec;
    if (!alias) return;
    expect(alias).toMatch(/^(\/[a-z][a-z0-9_-]*)+\/:id$|^\/$/);
    if (alias === "/") return;
    expect(loaded.filter((other) => other.function?.spec.alias === alias)).toHaveLength(1);
    expect(input.safeParse({ id: 7 }).error?.issues.map(({ path }) => path[0])).toContain("id");
  });

  test("has a summary of one line, and a message or an answer of its own shape", () => {
    expect(one.spec.summary).toMatch(/^[A-Z].*[^.\s]$/);
    const { message } = one.spec;
    if (typeof message !== "function" && message !== null) expect(message).toMatch(/^[A-Z]/);
    // texts and bytes have no envelope, nor do events
    if (one.spec.media) expect(["string", "custom"]).toContain(one.spec.output.type);
    if (one.spec.media || one.spec.stream === "sse") expect(message).toBeNull();
  });

  test("streams only what it reads, and on request of a boolean field", () => {
    const { stream, access, input } = one.spec;
    if (!stream) return;
    if (stream === "bytes") return;
    expect(access).toBe("read");
    if (stream === "sse") return;
    const { properties } = z.toJSONSchema(input, { io: "input" });
    expect(properties?.[stream.when]).toMatchObject({ type: "boolean" });
  });

  test("has one method, or GET and one with a body", () => {
    const [first, ...more] = methodsOf(one.spec);
    expect(METHODS).toContain(first);
    if (more.length > 0) expect([first, more]).toEqual(["GET", [expect.stringMatching(/^P/)]]);
  });

  test("says what a caller must be allowed: a GET looks, a POST alone does more", () => {
    const isRead = methodsOf(one.spec).includes("GET") && one.spec.stream !== "bytes"; // what a disk holds is no look
    const isOwn = one.spec.scope === "server"; // what the server itself knows may be for administrators alone
    const looks = isOwn ? ["read", "admin"] : ["read"];
    const isTicket = path === "/console/ticket"; // what it opens is checked by the access of that
    const isSession = one.spec.anybody; // what it lets in has rights of its own
    const words = isRead || isTicket || isSession ? looks : ["operate", "admin"];
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
    z.toJSONSchema(one.spec.output, {
      io: "input",
      unrepresentable: one.spec.media ? "any" : "throw",
    });
    if (!methodsOf(one.spec).includes("GET")) return;
    expect(Object.keys(one.spec.input.shape)).not.toContain("host"); // ?host= is the hypervisor
    const asked = Object.values(input.properties ?? {}).filter((field) => isOf(field, "GET"));
    expect(JSON.stringify(asked)).not.toContain('"type":"object"');
  });

  test("shows a caller who is limited to some domains nothing of another's", () => {
    const { fields, lists } = domainFields(one.spec);
    if (one.spec.scope === "server" || fields.length > 0) return; // checked by its input, or about no domain
    if (lists.length === 0) return; // refused to such a caller
    const answer = sample(z.toJSONSchema(one.spec.output));
    expect(JSON.stringify(answer)).toContain("foreign");
    expect(JSON.stringify(filterDomains(limited, one.spec, answer))).not.toContain("foreign");
    // of the call's own hypervisor all are the caller's, and of a "foreign" one none
    const rights = { sees: (host: string) => host === "own" };
    const host = one.spec.scope === "fleet" ? undefined : "own";
    const seen = filterDomains(selected, one.spec, answer, rights, host);
    if (host === undefined) expect(JSON.stringify(seen)).not.toContain("foreign");
    else expect(seen).toEqual(answer);
    const none = filterDomains(selected, one.spec, answer, { sees: () => false }, host);
    expect(JSON.stringify(none)).not.toContain("foreign");
  });

  test("is refused to a caller with a query where it changes tags, or domains that it does not name", () => {
    const { fields, lists } = domainFields(one.spec);
    const isOwn = one.spec.scope === "server"; // it asks checkUnlimited, or is about no domain
    const changes = one.spec.access !== "read";
    const isBlind = fields.length === 0 && (lists.length === 0 || changes);
    const tags = changes && "tags" in one.spec.input.shape;
    expect(whyNot(selected, one.spec) !== undefined).toBe(!isOwn && (isBlind || tags));
  });

  test("says of each list with the names of domains that it holds domains", () => {
    const { properties = {} } = z.toJSONSchema(one.spec.output, {
      unrepresentable: "any",
    }) as Schema;
    const holders = Object.keys(properties).filter((name) => /domain|template|vm|guest/.test(name));
    const answer = sample(z.toJSONSchema(one.spec.output, { unrepresentable: "any" })) as Record<
      string,
      unknown
    >;
    const items = holders.filter((name) => {
      const list = answer[name];
      return Array.isArray(list) && typeof list[0] === "object" && "name" in (list[0] ?? {});
    });
    expect(items).toEqual(domainFields(one.spec).lists.map(({ list }) => list));
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
