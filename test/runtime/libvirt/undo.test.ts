/** Undoing: the error that made it necessary is the one that is thrown. */
import { expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import { undo } from "../../../runtime/libvirt/undo.ts";

const full = new HyperError("no_space", "full");

test("undone: the cause alone", async () => {
  const done: string[] = [];
  await expect(undo(full, "the volume is left", async () => done.push("x"))).rejects.toBe(full);
  expect(done).toEqual(["x"]);
});

test.each([
  [full, "no_space", "full; the volume is left: busy"],
  [new TypeError("secret"), "internal", "internal error; the volume is left: busy"],
])("not undone: what is left, and why", async (cause, code, message) => {
  const steps = async () => {
    throw new HyperError("in_use", "busy");
  };
  await expect(undo(cause, "the volume is left", steps)).rejects.toMatchObject({
    code,
    message,
    cause,
  });
});
