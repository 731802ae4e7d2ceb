/** GET /tags/list and POST /tags/assign, remove: over several hypervisors, for callers with limits. */
import { expect, test } from "vitest";
import type * as z from "zod";
import assign from "../../functions/tags/assign.ts";
import list from "../../functions/tags/list.ts";
import remove from "../../functions/tags/remove.ts";
import { HyperError, inputError } from "../../runtime/core/errors.ts";
import { away, fleet, limited } from "../fixtures/fleet.ts";

process.env.XDG_STATE_HOME = "/nonexistent"; // there is no database, so no tag is registered

const FLEET = {
  kvm1: { web: { tags: ["prod", "web"] }, db: { tags: ["prod"] } },
  kvm2: { web: { tags: ["prod"] }, mute: { silent: new HyperError("timed_out", "mute") } },
  kvm3: away("kvm3"),
};

test("list counts the domains of all hypervisors, and says whose are missing", async () => {
  const said = { category: null, color: null, registered: false };
  expect(await list.spec.run({}, fleet(FLEET).ctx)).toEqual({
    tags: [
      { name: "prod", ...said, vm_count: 3 },
      { name: "web", ...said, vm_count: 1 },
    ],
    ...{ total: 2, unknown: 1, registry_error: null },
    unreachable: [
      { host: "kvm3", code: "unreachable", error: expect.stringContaining("no route") },
    ],
  });
});

test("list counts for a limited caller their own alone", async () => {
  const { ctx } = fleet(FLEET, { caller: limited({ domains: ["db"], hosts: ["kvm1"] }) });
  const { tags, unknown, unreachable } = await list.spec.run({}, ctx);
  expect(tags.map(({ name, vm_count }) => [name, vm_count])).toEqual([["prod", 1]]);
  expect([unknown, unreachable]).toEqual([0, []]);
});

test.each([
  [{ tags: ["a"] }, "domains: required, unless select is given in its place"],
  [{ domains: ["a"], select: "a", tags: ["a"] }, "domains: must not be given with select"],
  [{ select: "tag:", tags: ["a"] }, "select: at character 5: tag: needs a value"],
  [{ domains: ["a"], tags: [] }, "tags: must name at least one tag"],
  [{ domains: ["a"], tags: ["<b>"] }, "tags.0: must be 1 to 63 letters"],
  [{ domains: ["a"], tags: "a" }, "tags: "],
])("%j is refused", (input, text) => {
  for (const { spec } of [assign, remove]) {
    const { error } = spec.input.safeParse(input);
    expect(inputError(error as z.ZodError).message).toContain(text);
  }
});
