/** POST /libvirt/domain/delete: what it refuses before anything, and what it tells. The rest is the room's. */
import { expect, test } from "vitest";
import remove from "../../../../functions/libvirt/domain/delete.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";
import { hypervisor } from "../../../fixtures/storage.ts";

const UUID = "11111111-1111-4111-8111-111111111111";

function domain(state: string, { snapshots = "", persistent = "yes", stays = false } = {}) {
  let isThere = true;
  const fake = answering((verb) => {
    if (verb === "list") return isThere ? `${UUID} 7\n` : "";
    if (verb === "dominfo")
      return `Name:           7\nUUID:           ${UUID}\nState:          ${state}\nPersistent:     ${persistent}\n`;
    if (verb === "snapshot-list") return snapshots;
    if (verb === "undefine") isThere = stays;
    return "";
  });
  return { ...fake, exec: hypervisor({}).ctx.exec };
}
const changes = (fake: ReturnType<typeof domain>) =>
  fake.verbs().filter((verb) => /^(destroy|undefine|vol-delete)$/.test(`${verb}`));

test.each<[string, object, RegExp]>([
  ["no name", {}, /^name: required/],
  ["a path", { name: "../vm" }, /^name: /],
  ["an option", { name: "--all" }, /^name: /],
  ["a text for remove_storage", { name: "vm", remove_storage: "yes" }, /^remove_storage: /],
  ["a list for snapshots", { name: "vm", snapshots: ["s1"] }, /^snapshots: /],
  ["a number for force", { name: "vm", force: 1 }, /^force: /],
  ["the batch's field", { name: "vm", snapshots_only: true }, /unknown key "snapshots_only"/],
])("bad input: %s", async (_what, input, message) => {
  const fake = domain("shut off");
  const refused = remove(input as { name: string }, fake);
  await expect(refused).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(fake.calls).toEqual([]);
});

test.each(["running", "paused", "in shutdown"])("%s: only by force", async (state) => {
  const fake = domain(state);
  await expect(remove({ name: "7" }, fake)).rejects.toMatchObject({
    code: "in_use",
    message: expect.stringMatching(`^name: domain 7 is ${state}; .*force: true`),
  });
  expect(changes(fake)).toEqual([]);
  expect(await remove({ name: "7", force: true }, fake)).toEqual({
    ...{ name: "7", uuid: UUID, snapshots_deleted: [] },
  });
  expect(changes(fake)).toEqual(["destroy", "undefine"]);
});

test("snapshots go with it, unless it may have none", async () => {
  const fake = domain("shut off", { snapshots: "s 1\ns2\n" });
  await expect(remove({ name: "7", snapshots: false }, fake)).rejects.toMatchObject({
    code: "in_use",
    message: "snapshots: domain 7 has s 1, s2, which would go with it",
    details: { snapshots: ["s 1", "s2"] },
  });
  expect(changes(fake)).toEqual([]);
  expect(await remove({ name: "7" }, fake)).toMatchObject({ snapshots_deleted: ["s 1", "s2"] });
  for (const words of fake.calls.filter((call) => call[1] === "--domain"))
    expect(words[2]).toBe(UUID);
});

test("a domain that libvirt still has afterwards is no success", async () => {
  const refused = remove({ name: "7" }, domain("shut off", { stays: true }));
  await expect(refused).rejects.toMatchObject({
    code: "virsh_failed",
    message: expect.stringMatching(/still has it/),
  });
});

test("one that does not exist", async () => {
  const fake = answering(() => new HyperError("not_found", "domain 'vm' not found"));
  await expect(remove({ name: "vm" }, fake)).rejects.toMatchObject({ code: "not_found" });
});
