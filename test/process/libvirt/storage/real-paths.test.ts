/** Paths resolved by real programs: GNU's realpath, and where there is none, with the same result. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { ExecResult } from "../../../../runtime/hypervisor/transport.ts";
import { realPaths } from "../../../../runtime/libvirt/storage/real-paths.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "real-paths-")));
afterAll(() => rmSync(root, { recursive: true }));
mkdirSync(join(root, "real/deep"), { recursive: true });
for (const [link, to] of [
  ["link", "real"],
  ["nowhere", "/secret/missing/x"],
  ["relative", "../missing"],
  ["chain", "link/deep"],
  ["loop", "loop"],
] as const)
  symlinkSync(to, join(root, link));
writeFileSync(join(root, "line\n"), "");
/** A realpath without GNU's options, as BusyBox's. */
mkdirSync(join(root, "bin"));
writeFileSync(join(root, "bin/realpath"), "#!/bin/sh\necho realpath: -mz >&2; exit 1\n", {
  mode: 0o755,
});

const resolve = (paths: string[], path = process.env.PATH) => {
  const exec = (argv: string[], { input = "" } = {}) =>
    new Promise<ExecResult>((done) => {
      const [program = "", ...words] = argv;
      const env = { ...process.env, PATH: path };
      const child = execFile(program, words, { env }, (error, stdout, stderr) =>
        done({ stdout, stderr, exitCode: error ? Number(error.code) : 0 }),
      );
      child.stdin?.end(input);
    });
  return realPaths({ exec } as Pick<Context, "exec">, paths);
};

describe.each([
  ["GNU's", process.env.PATH],
  ["another realpath", `${join(root, "bin")}:${process.env.PATH}`],
])("%s", (_what, path) => {
  test.each([
    ["link/deep/a/b", "real/deep/a/b"],
    ["chain", "real/deep"],
    ["nowhere", "/secret/missing/x"],
    ["nowhere/y", "/secret/missing/x/y"],
    ["relative/z", "../missing/z"],
    ["missing/../real/./deep", "real/deep"],
    ["loop/x", "loop/x"],
    ["line\n", "line\n"],
    ["-dash", "-dash"],
    ["", ""],
  ])("%j is %j", async (given, expected) => {
    const asked = given ? `${root}/${given}` : root;
    const real = expected.startsWith("/") ? expected : join(root, expected);
    expect((await resolve([asked, "/"], path)).get(asked)).toBe(real);
  });
});

test("what is no absolute path has no entry", async () => {
  expect(await resolve(["", "relative"])).toEqual(new Map());
});
