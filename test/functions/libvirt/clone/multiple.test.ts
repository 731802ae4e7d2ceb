/** POST /libvirt/clone/multiple: the names it makes, and results of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import multiple from "../../../../functions/libvirt/clone/multiple.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { cloning } from "../../../fixtures/cloning.ts";

const state = mkdtempSync(join(tmpdir(), "multiple-"));
process.env.XDG_STATE_HOME = state;
afterAll(() => rmSync(state, { recursive: true }));

const SOURCE = `<domain><name>base</name><uuid>x</uuid><devices>
  <disk type='file'><driver type='qcow2'/><source file='/pool/base.qcow2'/><target dev='vda'/></disk>
</devices></domain>`;
const input = { source: "base", name_prefix: "web & co", count: 3 };

test.each([
  [{}, 1],
  [{ start_index: 0 }, 0],
  [{ start_index: 98 }, 98],
])("%j: numbered from there, each with a disk of its own", async (change, first) => {
  const { context, defined } = cloning(SOURCE);
  const answer = await multiple({ ...input, ...change }, context);
  const names = [0, 1, 2].map((i) => `web & co-${first + i}`);
  expect(answer).toMatchObject({ operation: "clone", total: 3, successful: 3, failed: 0 });
  expect(answer.results).toEqual(
    names.map((domain) => ({
      domain,
      success: true,
      uuid: expect.any(String),
      disks: [`/pool/${domain}.qcow2`],
    })),
  );
  expect(new Set(answer.results.map(({ uuid }) => uuid)).size).toBe(3);
  expect(defined.length).toBe(3);
});

test("linked: overlays, and no copy", async () => {
  const { context, ran, verbs } = cloning(SOURCE);
  await multiple({ ...input, linked: true }, context);
  expect(ran.filter(([program]) => program === "qemu-img")).toEqual([]);
  expect(verbs().filter((verb) => verb === "vol-create").length).toBe(3);
});

test("a name that is taken is its own failure, in its place", async () => {
  const { context } = cloning(SOURCE, { domains: ["web & co-2"] });
  const { results, failed } = await multiple(input, context);
  expect(failed).toBe(1);
  expect(results.map(({ code }) => code)).toEqual([undefined, "already_exists", undefined]);
});

test.each(["base", "42", "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01"])(
  "a source that does not exist is a 404 (%s), and no batch of failures",
  async (source) => {
    const missing = new HyperError("not_found", "Domain not found");
    const { context, verbs } = cloning(SOURCE, {
      answer: (verb) => (verb === "domstate" ? missing : undefined),
    });
    await expect(multiple({ ...input, source }, context)).rejects.toMatchObject({
      code: "not_found",
    });
    expect(verbs()).not.toContain("vol-create");
  },
);

test.each([
  [{ count: 0 }, /^count: /],
  [{ count: 1001 }, /^count: /],
  [{ count: 2.5 }, /^count: /],
  [{ start_index: -1 }, /^start_index: /],
  [{ name_prefix: "" }, /^name_prefix: must not be empty/],
  [{ prefix: "x" }, /unknown key "prefix" \(allowed: source, name_prefix, /],
])("%j is refused", async (change, message) => {
  const { context, calls } = cloning(SOURCE);
  await expect(multiple({ ...input, ...change } as never, context)).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringMatching(message),
  });
  expect(calls).toEqual([]);
});
