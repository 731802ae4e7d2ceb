import { expect, test } from "vitest";
import { meant, mistakes, nearest } from "../../../../runtime/cli/input/suggestions.ts";
import { schemaOf } from "../../../../runtime/core/json-schema.ts";
import { loadFunction } from "../../../../runtime/function/load.ts";

const names = ["libvirt/networks", "libvirt/network", "libvirt/network/create", "health"];

test.each([
  ["libvirt/netwroks", "libvirt/networks"],
  ["libvirt/network/craete", "libvirt/network/create"],
  ["network/create", "libvirt/network/create"],
  ["create", "libvirt/network/create"],
  ["Health", "health"],
  ["healt", "health"],
  ["volume/wipe", undefined],
  ["x", undefined],
  ["", undefined],
])("%s: did you mean %s?", (word, found) => {
  expect(nearest(word, names)).toBe(found);
});

test("nothing is near to nothing", () => {
  expect(meant("a", [])).toBe("");
});

async function told(path: string, input: object) {
  const { spec } = await loadFunction(path);
  const { error } = spec.input.safeParse(input);
  return error ? mistakes(error, input, schemaOf(spec.input)) : [];
}

test("an input's mistakes, a line each", async () => {
  expect(await told("/libvirt/network/create", { nme: "x", forward: "nta", start: "yes" })).toEqual(
    [
      "name: required (string)",
      expect.stringMatching(/^forward: .*"nat".*; did you mean nat\?$/),
      expect.stringMatching(/^start: .*boolean/),
      "nme: no such field; did you mean name?",
    ],
  );
  expect(
    await told("/libvirt/template/deploy", {
      template: "t",
      name: "n",
      customize: { hostnam: "x", packages: ["ok", "a b"] },
    }),
  ).toEqual([
    "customize[packages][1]: must be a package name",
    "customize[hostnam]: no such field; did you mean hostname?",
  ]);
  expect(await told("/libvirt/networks", { anything: 1 })).toEqual(["anything: no such field"]);
  expect(await told("/libvirt/networks", {})).toEqual([]);
});
