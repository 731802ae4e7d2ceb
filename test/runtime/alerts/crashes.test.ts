/** Which of libvirt's events tell of a crash. The words are those of live migrations and of killed QEMUs. */
import { expect, test } from "vitest";
import { crashes } from "../../../runtime/alerts/hear.ts";

const ARRIVES = ["started migrated", "suspended migrated"];

test.each([
  [["stopped failed"], true],
  [["stopped crashed"], true],
  [["crashed panicked"], true],
  [["stopped destroyed"], false],
  [["stopped shutdown"], false],
  [["started booted", "stopped failed"], true],
  // a migration to here that was cancelled, or failed: the guest runs on over there
  [[...ARRIVES, "stopped failed"], false],
  [["started migrated", "stopped failed"], false],
  // one that came, and crashed then
  [[...ARRIVES, "resumed migrated", "stopped failed"], true],
  [[...ARRIVES, "suspended paused", "stopped failed"], true],
  [["started migrated", "stopped failed", "started booted", "stopped failed"], true],
  [["started migrated", "stopped failed", "stopped failed"], true],
])("%j: %s", (events, isCrash) => {
  const tell = crashes();
  const told = events.map((words) => {
    const [action = "", reason = ""] = words.split(" ");
    const what = {
      kind: "domain",
      event: "lifecycle",
      host: "kvm2",
      object: "web",
      action,
      reason,
    };
    return tell({ ...what, id: "1", time: "", detail: null } as Parameters<typeof tell>[0]);
  });
  expect(told.at(-1)).toBe(isCrash);
  expect(told.filter(Boolean)).toHaveLength(isCrash ? 1 : 0);
});

test("a migration of another domain, or of the same name elsewhere, hides no crash", () => {
  const tell = crashes();
  const one = { kind: "domain", event: "lifecycle", id: "1", time: "", detail: null } as const;
  const arrives = { ...one, action: "started", reason: "migrated" };
  tell({ ...arrives, host: "a", object: "web" });
  tell({ ...arrives, host: "b", object: "db" });
  const failed = { ...one, action: "stopped", reason: "failed" };
  expect(tell({ ...failed, host: "a", object: "db" })).toBe(true);
  expect(tell({ ...failed, host: "b", object: "web" })).toBe(true);
});
