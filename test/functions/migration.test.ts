/** /migration/wizard, /migration/rollback and /hosts/drain: what they refuse, and what they do without a second host. */
import { expect, test } from "vitest";
import drain from "../../functions/hosts/drain.ts";
import rollback from "../../functions/migration/rollback.ts";
import wizard from "../../functions/migration/wizard.ts";
import { answering } from "../fixtures/fake.ts";

const refused = (message: RegExp, code = "invalid_input") => ({
  code,
  message: expect.stringMatching(message),
});

test.each([
  [{ host: "a" }, /^to: /],
  [{ host: "a", to: [] }, /^to: must name at least one/],
  [{ host: "a", to: ["b", "b"] }, /^to: must not name one twice/],
  [{ host: "a", to: ["b"], concurrency: 0 }, /^concurrency: /],
  [{ host: "a", to: ["b"], name: "vm" }, /unknown key "name"/],
  [{ host: "a", to: ["a"] }, /^to: a is to be empty itself/],
  [{ host: "a", to: ["b"] }, /^to: unknown hypervisor "b"/],
])("drain: %j", async (input, message) => {
  const fake = answering(() => "");
  await expect(drain(input as never, fake)).rejects.toMatchObject(refused(message));
  expect(fake.calls).toEqual([]);
});

test("rollback: neither a snapshot nor another hypervisor", async () => {
  const fake = answering(() => "");
  await expect(rollback({ vm_id: "vm", backup_id: "x" }, fake)).rejects.toMatchObject(
    refused(/^backup_id: domain vm has no snapshot x/, "not_found"),
  );
  expect(fake.verbs().filter((verb) => /revert|undefine/.test(`${verb}`))).toEqual([]);
});

test.each([
  [{ vms: ["-x"] }, /^vms/],
  [{ source: {} }, /^source.server: /],
  [{ options: { dry_run: true } }, /^options: unknown key "dry_run"/],
])("wizard: %j", async (input, message) => {
  await expect(
    wizard(
      input as never,
      answering(() => ""),
    ),
  ).rejects.toMatchObject(refused(message));
});

test("wizard: without a plan it tells what is missing", async () => {
  const fake = answering(() => "Running against daemon: 9.0.0\n");
  const { steps, jobs, vms } = await wizard({}, fake);
  expect(steps.map(({ step, status }) => `${step} ${status}`)).toEqual([
    "source missing",
    "destination missing",
    "vms missing",
    "options pass",
  ]);
  expect([jobs, vms]).toEqual([[], []]);
});
