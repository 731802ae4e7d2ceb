/** What of a measurement a rule with a query is about. */
import { expect, test } from "vitest";
import type { StoredRule } from "../../../runtime/alerts/rule.ts";
import { limitToSelected, selectCrashes } from "../../../runtime/alerts/selection.ts";
import type { Vm } from "../../../runtime/libvirt/inventory/vm.ts";

const rule = (selects: string | null, name = "prod") =>
  ({ name, created_at: "2026-11-30", selects }) as StoredRule;
const vm = (name: string, tags: string[] | null) => ({ host: "kvm1", name, tags }) as Vm;
const reading = (object: string, host = "kvm1") => ({ host, object, value: 1, detail: "" });
const inventory = (...vms: Vm[]) => new Map([["kvm1", Promise.resolve(vms)]]);
const VMS = [vm("web", ["prod"]), vm("test", ["staging"]), vm("stuck", null)];

test("what matches stays, what does not goes, and of what is not known nothing changes", async () => {
  const readings = ["web", "test", "stuck", "new"].map((name) => reading(name));
  const measured = { readings, complete: ["kvm1"], errors: [] };
  const limited = await limitToSelected(rule("tag:prod"), measured, inventory(...VMS));
  expect(limited.readings).toEqual([
    reading("web"),
    { ...reading("stuck"), value: null },
    { ...reading("new"), value: null },
  ]);
  expect(limited.selected).toMatchObject({
    ...{ query: "tag:prod", domains: ["kvm1/web"], unknown: ["kvm1/stuck"], unreachable: [] },
  });
  expect(await limitToSelected(rule(null), measured, new Map())).toBe(measured);
});

test("a hypervisor whose inventory cannot be read is not read as a whole", async () => {
  const failed = Promise.reject(new Error("gone"));
  const measured = { readings: [reading("web")], complete: ["kvm1"], errors: [] };
  const known = new Map([["kvm1", failed]]);
  const limited = await limitToSelected(rule("tag:prod", "other"), measured, known);
  expect(limited).toMatchObject({
    readings: [{ value: null }],
    complete: [],
    errors: [expect.stringMatching(/^kvm1: select: /)],
  });
});

test("a crash is judged by what was so before, since libvirt may have forgotten the domain", async () => {
  const measured = { readings: [], complete: ["kvm1"], errors: [] };
  await limitToSelected(rule("tag:prod", "crashed"), measured, inventory(...VMS));
  const crashes = VMS.map(({ name }) => reading(name));
  expect(await selectCrashes(rule("tag:prod", "crashed"), crashes)).toEqual([
    reading("web"),
    { ...reading("stuck"), value: null },
  ]);
  const gone = inventory(vm("test", ["staging"]));
  const again = { ...measured, readings: [reading("web")] };
  const limited = await limitToSelected(rule("tag:prod", "crashed"), again, gone);
  expect(limited.readings).toEqual([reading("web")]);
});
