import { expect, test } from "vitest";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import type { ExecResult } from "../../../runtime/hypervisor/transport.ts";
import { findPrograms, hasProgram, needProgram } from "../../../runtime/libvirt/host.ts";

const { exec } = localTransport("test:///default");
const ctx = {
  host: "kvm1",
  exec: (argv: string[]) => exec(argv, { timeout: 10_000 }),
};

test("the programs that are there, of those asked for", async () => {
  const found = await findPrograms(ctx, ["cat", "no-such-program", "ls", "$(id)"]);
  expect([...found]).toEqual(["cat", "ls"]);
  expect(await findPrograms(ctx, [])).toEqual(new Set());
  expect(await hasProgram(ctx, "ls")).toBe(true);
});

test("a missing program is named with the field that needs it and its package", async () => {
  await needProgram(ctx, "ls", { field: "algorithm" });
  await expect(
    needProgram(ctx, "no-such-program", { field: "seal", package: "libguestfs-tools" }),
  ).rejects.toMatchObject({
    code: "unsupported",
    message:
      'seal needs no-such-program on hypervisor kvm1; install its package "libguestfs-tools"',
  });
  await expect(needProgram(ctx, "no-such-program", { field: "x" })).rejects.toThrow(
    'install its package "no-such-program"',
  );
});

test("a shell that fails is an error, not a missing program", async () => {
  const failed: ExecResult = { stdout: "", stderr: "sh: cannot fork", exitCode: 2 };
  const broken = { ...ctx, exec: async () => failed };
  await expect(hasProgram(broken, "ls")).rejects.toMatchObject({ code: "command_failed" });
});
