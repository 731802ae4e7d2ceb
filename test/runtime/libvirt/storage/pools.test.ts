/** Storage pools: active and inactive ones, and those that go away while they are read. */
import { expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import {
  listPools,
  readActivePools,
  readPools,
} from "../../../../runtime/libvirt/storage/pools.ts";
import { answering } from "../../../fixtures/fake.ts";

const [A, B, GONE] = ["a", "b", "c"].map((name) => name.repeat(36)) as [string, string, string];

function hypervisor() {
  return answering((verb, ...words) => {
    if (verb === "pool-list")
      return ` ${A} \n${words.includes("--all") ? ` ${B} \n` : ""} ${GONE}\n\n`;
    const uuid = words[1];
    if (uuid === GONE) return new HyperError("not_found", "Storage pool not found");
    if (verb === "pool-name") return "ends with spaces  \n";
    if (verb === "pool-dumpxml")
      return uuid === A
        ? "<pool type='dir'><name>a &amp; b</name><target><path>/p</path></target></pool>"
        : "<pool type='rbd'><name>b</name></pool>";
    return uuid === A
      ? "State:          running\nPersistent:     yes\nAutostart:      no\nCapacity:       100\nAllocation:     40\nAvailable:      60\n"
      : "State:          inactive\nPersistent:     yes\nAutostart:      yes\nCapacity:       0\n";
  });
}

test("active ones alone, or all", async () => {
  expect(await listPools(hypervisor())).toEqual([A, GONE]);
  expect(await listPools(hypervisor(), "--all")).toEqual([A, B, GONE]);
});

test("a name keeps its spaces; a pool that has gone is left out", async () => {
  expect(await readActivePools(hypervisor())).toEqual([
    { uuid: A, name: "ends with spaces  ", folder: "/p" },
  ]);
});

test("an inactive pool has no sizes", async () => {
  const common = { persistent: true };
  expect(await readPools(hypervisor())).toEqual([
    {
      ...{ ...common, name: "a & b", uuid: A, type: "dir", path: "/p", active: true },
      ...{ autostart: false, capacity_bytes: 100, allocation_bytes: 40, available_bytes: 60 },
    },
    {
      ...{ ...common, name: "b", uuid: B, type: "rbd", path: null, active: false },
      ...{ autostart: true, capacity_bytes: null, allocation_bytes: null, available_bytes: null },
    },
  ]);
});
