/** Programs of the hypervisor: a failure is thrown in the program's own words. */
import { describe, expect, test } from "vitest";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { pathExists, runProgram } from "../../../runtime/libvirt/program.ts";

const { exec } = localTransport("test:///default");
const ctx = {
  exec: (argv: string[], options = {}) => exec(argv, { timeout: 10_000, ...options }),
};

test("output and input pass through", async () => {
  const { stdout } = await runProgram(ctx, ["tr", "a-z", "A-Z"], { input: "abc" });
  expect(stdout).toBe("ABC");
});

test.each([
  [["sh", "-c", "echo why >&2; exit 3"], undefined, "command_failed", "sh: why"],
  [["sh", "-c", "exit 3"], "the step", "command_failed", "the step: exit status 3"],
  [["sh", "-c", "echo No space left on device >&2; exit 1"], "cp", "no_space", /^cp: No space/],
])("%j fails", async (argv, name, code, message) => {
  const call = runProgram(ctx, argv, {}, name);
  await expect(call).rejects.toMatchObject({
    code,
    message: typeof message === "string" ? message : expect.stringMatching(message),
  });
});

test("a path exists, or not", async () => {
  expect(await pathExists(ctx, import.meta.filename)).toBe(true);
  expect(await pathExists(ctx, `${import.meta.filename}/no`)).toBe(false);
  expect(await pathExists(ctx, "/proc/-no such 'file'")).toBe(false);
});

describe("what cannot be looked at is unknown, and no program's words in a name decide", () => {
  test.each([
    ["ls: cannot access '/c/x': Permission denied\n", "permission_denied"],
    ["ls: /c/x: Permission denied\n", "permission_denied"], // BusyBox
    [
      "ls: cannot access '/c/: No such file or directory': Permission denied\n",
      "permission_denied",
    ],
    ["ls: cannot access '/c/x': Stale file handle\n", "command_failed"],
    ["ls: cannot access '/c/x': Input/output error\n", "command_failed"],
    ["ls: cannot access '/c/x': Too many levels of symbolic links\n", "command_failed"],
    ["", "command_failed"],
  ])("%j", async (stderr, code) => {
    const exec = async () => ({ stdout: "", stderr, exitCode: 2 });
    await expect(pathExists({ exec }, "/c/x")).rejects.toMatchObject({ code });
  });
});
