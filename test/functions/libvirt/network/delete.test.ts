/** POST /libvirt/network/delete: an active network is stopped first, and what is left is said. */
import { expect, test } from "vitest";
import remove from "../../../../functions/libvirt/network/delete.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const info = (active: string, persistent: string) =>
  `Name:           Active: no\nActive:         ${active}\nPersistent:     ${persistent}\n`;
const having = (text: string, fails: Record<string, HyperError> = {}) =>
  answering((verb) => fails[verb] ?? text);
const name = "it's";

test.each([
  ["yes", "yes", ["net-info", "net-destroy", "net-undefine"], true],
  ["no", "yes", ["net-info", "net-undefine"], false],
  ["yes", "no", ["net-info", "net-destroy"], true],
])("active: %s, persistent: %s: %j", async (active, persistent, verbs, stopped) => {
  const fake = having(info(active, persistent));
  expect(await remove({ name }, fake)).toEqual({ name, stopped });
  expect(fake.verbs()).toEqual(verbs);
  expect(fake.calls.every((words) => words.at(-1) === name)).toBe(true);
});

test("one that does not exist", async () => {
  const fake = having("", { "net-info": new HyperError("not_found", "Network not found") });
  await expect(remove({ name }, fake)).rejects.toMatchObject({ code: "not_found" });
  expect(fake.verbs()).toEqual(["net-info"]);
});

test("one that cannot be stopped stays", async () => {
  const fake = having(info("yes", "yes"), { "net-destroy": new HyperError("virsh_failed", "no") });
  await expect(remove({ name }, fake)).rejects.toThrow(/^no$/);
  expect(fake.verbs()).toEqual(["net-info", "net-destroy"]);
});

test.each([
  ["yes", "no; the network was stopped and is still defined"],
  ["no", "no"],
])("one that cannot be undefined (active: %s): %s", async (active, message) => {
  const fails = { "net-undefine": new HyperError("permission_denied", "no") };
  await expect(remove({ name }, having(info(active, "yes"), fails))).rejects.toMatchObject({
    code: "permission_denied",
    message,
  });
});
