/** What a login user may do with an image, by what programs say there. */
import { expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { mayRead, mayWrite, needsRoot } from "../../../../runtime/libvirt/storage/image-access.ts";
import { withoutIsolation } from "../../../fixtures/isolated.ts";

type Said = Record<string, [exitCode: number, stderr?: string]>;

/** Programs by name; the others succeed. */
function login(said: Said) {
  const ran: string[] = [];
  const exec: Context["exec"] = async (argv) => {
    const [program = ""] = withoutIsolation(argv);
    ran.push(program);
    const [exitCode, stderr = ""] = said[program] ?? [0];
    return { stdout: "{}", stderr, exitCode };
  };
  return { exec, host: "kvm1", ran };
}

test.each<[string, string, boolean, Said]>([
  ["a readable image", "qcow2", true, {}],
  ["an image of root's", "raw", false, { test: [1] }],
  ["one in a closed folder", "raw", false, { test: [1], ls: [2, "ls: /p/v: Permission denied\n"] }],
  [
    "a base of root's",
    "qcow2",
    false,
    { "qemu-img": [1, "Could not open '/b': Permission denied"] },
  ],
  [
    "one that is missing, which the copy tells",
    "raw",
    true,
    { test: [1], ls: [2, "ls: /p/v: No such file or directory\n"] },
  ],
  [
    "one that is damaged, which the copy tells",
    "qcow2",
    true,
    { "qemu-img": [1, "Image is corrupt"] },
  ],
])("%s (%s): %s", async (_what, format, expected, said) => {
  const ctx = login(said);
  expect(await mayRead(ctx, "/p/v", format)).toBe(expected);
  const { length } = ctx.ran;
  expect(await mayRead(ctx, "/p/v", format)).toBe(expected);
  expect(ctx.ran.length).toBe(length); // asked once in a call
});

test("a test that does not run is an error, not an answer", async () => {
  await expect(mayWrite(login({ test: [127, "test: not found"] }), "/p/v")).rejects.toMatchObject({
    code: "command_failed",
  });
  expect(await mayWrite(login({ test: [1] }), "/p/v")).toBe(false);
});

test("the refusal names the ways out", () => {
  const { code, message } = needsRoot(login({}), "a clone makes /p/v");
  expect(code).toBe("permission_denied");
  expect(message).toMatch(
    /^a clone makes \/p\/v, .*kvm1.* root .* sudo = true in \[hosts\.kvm1\]$/,
  );
});
