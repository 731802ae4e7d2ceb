/** POST /libvirt/clone: what it refuses before it begins, and what becomes of the source. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import clone from "../../../functions/libvirt/clone.ts";
import { HyperError } from "../../../runtime/core/errors.ts";
import { cloning } from "../../fixtures/cloning.ts";

const state = mkdtempSync(join(tmpdir(), "clone-"));
process.env.XDG_STATE_HOME = state;
afterAll(() => rmSync(state, { recursive: true }));

const SOURCE = `<domain type='qemu'>
  <name>base</name>
  <uuid>3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01</uuid>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/pool/base.qcow2'/><target dev='vda'/></disk>
    <interface type='network'><mac address='52:54:00:00:00:01'/><source network='lan'/></interface>
  </devices>
</domain>`;
const input = { source: "base", target: "copy" };
const spec = clone.spec;

test("the answer, and the sentence that goes with it", async () => {
  const { context } = cloning(SOURCE);
  const made = await clone(input, context);
  expect(made).toEqual({
    name: "copy",
    uuid: expect.stringMatching(/^[0-9a-f-]{36}$/),
    macs: [expect.stringMatching(/^52:54:00(:[0-9a-f]{2}){3}$/)],
    disks: [{ target: "vda", path: "/pool/copy.qcow2", format: "qcow2" }],
    source_removed: false,
  });
  const { message } = spec;
  const said = typeof message === "function" && message(made, spec.input.parse(input));
  expect(said).toBe("Domain base cloned to copy");
  expect(spec.status).toBe(201);
});

test.each([
  [{}, /^source: required \(string\); target: required/],
  [{ ...input, target: "a/b" }, /^target: must not contain/],
  [{ ...input, target: "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01" }, /^target: must not be a UUID/],
  [{ ...input, source: "--all" }, /^source: /],
  [{ ...input, files: "/x" }, /^files: /],
  [{ ...input, files: ["x"] }, /^files\.0: must be an absolute path/],
  [{ ...input, files: ["/a\nb"] }, /^files\.0: /],
  [{ ...input, new_mac: "no" }, /^new_mac: /],
  [{ ...input, linked: true, preserve: false }, /^preserve: a linked clone stands on/],
  [{ ...input, name: "x" }, /unknown key "name" \(allowed: source, target, files, /],
])("%j is refused before anything is asked of libvirt", async (given, message) => {
  const { context, calls } = cloning(SOURCE);
  await expect(clone(given as never, context)).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(calls).toEqual([]);
});

describe("preserve: false", () => {
  const given = { ...input, preserve: false };
  test("forgets the source when the clone is complete, not its disks or firmware", async () => {
    const { context, calls } = cloning(SOURCE);
    expect((await clone(given, context)).source_removed).toBe(true);
    const last = calls.slice(-2);
    expect(last[0]?.[0]).not.toBe("undefine");
    expect(last[1]).toEqual([
      ...["undefine", "--domain", "base", "--managed-save"],
      ...["--snapshots-metadata", "--checkpoints-metadata", "--keep-nvram"],
    ]);
  });

  test("a source that stays is told, and the clone stays too", async () => {
    const busy = new HyperError("in_use", "it is busy");
    const { context, verbs } = cloning(SOURCE, {
      answer: (verb) => (verb === "undefine" ? busy : undefined),
    });
    await expect(clone(given, context)).rejects.toMatchObject({
      code: "in_use",
      message: "the clone copy is complete, but its source is still defined: it is busy",
    });
    expect(verbs()).not.toContain("vol-delete");
    expect(readdirSync(join(state, "hypersdk/work"))).toEqual([]);
  });

  test("a clone that fails leaves the source alone", async () => {
    const no = new HyperError("unsupported", "no");
    const { context, calls } = cloning(SOURCE, {
      answer: (verb) => (verb === "define" ? no : undefined),
    });
    await expect(clone(given, context)).rejects.toBe(no);
    expect(calls.filter(([verb, , domain]) => verb === "undefine" && domain === "base")).toEqual(
      [],
    );
  });
});
