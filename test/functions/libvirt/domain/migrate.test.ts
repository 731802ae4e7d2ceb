/** POST /libvirt/domain/migrate and /migration/compatibility: what they refuse at once. */
import { expect, test } from "vitest";
import migrate from "../../../../functions/libvirt/domain/migrate.ts";
import compatibility from "../../../../functions/migration/compatibility.ts";
import { answering } from "../../../fixtures/fake.ts";

const GOOD = { name: "vm", to: "kvm2" };

test.each([
  [{}, /^name: /],
  [{ name: "vm" }, /^to: required/],
  [{ ...GOOD, to: "" }, /^to: must name a hypervisor/],
  [{ ...GOOD, name: "-x" }, /^name: /],
  [{ ...GOOD, copy_storage: "some" }, /^copy_storage: /],
  [{ ...GOOD, bandwidth: 0 }, /^bandwidth: /],
  [{ ...GOOD, timeout: 0.5 }, /^timeout: /],
  [{ ...GOOD, postcopy_after: -1 }, /^postcopy_after: /],
  [{ ...GOOD, migrate_host: "a b" }, /^migrate_host: must be a host name/],
  [{ ...GOOD, migrate_host: "-oProxy" }, /^migrate_host: /],
  [{ ...GOOD, target_pool: "../x" }, /^target_pool: /],
  [{ ...GOOD, force: true }, /unknown key "force"/],
  [{ ...GOOD, tls: true }, /^tls: is for live/],
  [{ ...GOOD, postcopy_after: 3 }, /^postcopy_after: is for live/],
  [{ ...GOOD, live: true, copy_storage: "all", postcopy_after: 3 }, /^postcopy_after: libvirt/],
  [GOOD, /^to: unknown hypervisor "kvm2"; configured: /],
])("%j", async (input, message) => {
  const fake = answering(() => "");
  await expect(migrate(input as never, fake)).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(fake.calls).toEqual([]);
});

test.each([
  [{ vm_id: "vm" }, /^platform: required/],
  [{ platform: "kvm2" }, /^vm_id: /],
  [{ vm_id: "vm", platform: "kvm2" }, /^to: unknown hypervisor/],
])("compatibility: %j", async (input, message) => {
  const fake = answering(() => "");
  await expect(compatibility(input as never, fake)).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(fake.calls).toEqual([]);
});

test("as a job it also has the domain's name on the other hypervisor", () => {
  const input = migrate.spec.input.parse(GOOD);
  expect(migrate.spec.job?.elsewhere?.(input)).toEqual([{ host: "kvm2", name: "vm" }]);
});

test("a dry run says at once whether it can move", () => {
  const moved = { name: "vm", from: "kvm1", to: "kvm2", dry_run: true };
  const check = (item: string, status: string) => ({ item, status, message: "" });
  const said = (...checks: object[]) =>
    (migrate.spec.message as (data: object) => string)({ ...moved, checks });
  expect(said(check("cpu", "pass"), check("tags", "warning"))).toBe(
    "Domain vm would move from kvm1 to kvm2",
  );
  expect(said(check("cpu", "pass"), check("name", "fail"), check("uuid", "fail"))).toBe(
    "Domain vm cannot move from kvm1 to kvm2; checks that fail: name, uuid",
  );
});
