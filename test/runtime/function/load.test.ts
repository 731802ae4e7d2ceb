/** A function is found by its path, by which its rights are checked, and by no other one. */
import { expect, test } from "vitest";
import { loadFunction } from "../../../runtime/function/load.ts";

test.each([
  "libvirt/clone",
  "/libvirt/domain/../clone",
  "/libvirt/./clone",
  "//libvirt/clone",
  "/libvirt//clone",
  "/libvirt/clone/",
  "/../functions/libvirt/clone",
])("%s is no function, also once /libvirt/clone has loaded", async (path) => {
  await loadFunction("/libvirt/clone");
  await expect(loadFunction(path)).rejects.toMatchObject({ code: "not_found" });
});
