/** Completion finds the function that lists names by the marks on schemas. */
import { expect, test } from "vitest";
import { findList } from "../../../../runtime/cli/completion/names.ts";
import { fieldsOf } from "../../../../runtime/cli/input/fields.ts";
import { schemaOf } from "../../../../runtime/core/json-schema.ts";
import { allFunctions } from "../../../fixtures/functions.ts";

const functions = await allFunctions();

test.each([
  ["domain", {}, "GET /libvirt/domains", "domains", {}],
  ["network", {}, "GET /libvirt/networks", "networks", {}],
  ["pool", { pool: "x" }, "GET /libvirt/pools", "pools", {}],
  ["volume", { pool: "x", domain: "y" }, "GET /libvirt/volumes", "volumes", { pool: "x" }],
])("%s", (kind, given, endpoint, field, input) => {
  expect(findList(functions, kind, given as Record<string, string>)).toEqual({
    endpoint,
    field,
    input,
  });
});

test("volumes are not listed before their pool is named, nor what has no list", () => {
  expect(findList(functions, "volume", { domain: "y" })).toBeUndefined();
  expect(findList(functions, "constructor", {})).toBeUndefined();
});

test("every kind of name that an input field is marked with has a list", () => {
  const kinds = functions.flatMap(({ function: one }) =>
    one ? fieldsOf(schemaOf(one.spec.input)).map(({ schema }) => schema["x-libvirt"]) : [],
  );
  const marked = [...new Set(kinds.filter((kind) => kind !== undefined))];
  expect(marked.length).toBeGreaterThan(3);
  const given = Object.fromEntries(marked.map((kind) => [kind, "x"]));
  expect(marked.filter((kind) => !findList(functions, `${kind}`, given))).toEqual([]);
});
