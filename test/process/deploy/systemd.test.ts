/** systemd's own check of the units, in a root of theirs where what they start is there. */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadConfig } from "../../../runtime/core/config.ts";

const UNITS = join(import.meta.dirname, "../../../deploy/systemd");
const files = readdirSync(UNITS).filter((name) => /\.(service|socket)$/.test(name));
const instances = files.map((name) => name.replace("@.", "@libvirt-networks."));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "units-"));
  for (const name of files) cpSync(join(UNITS, name), join(root, "etc/systemd/system", name));
  const programs = [
    "/bin/sh",
    "/opt/hypersdk/bin/hypersdk",
    "/usr/lib/systemd/systemd-socket-proxyd",
    "/usr/local/bin/bun",
  ];
  for (const program of programs) {
    mkdirSync(dirname(join(root, program)), { recursive: true });
    writeFileSync(join(root, program), "");
    chmodSync(join(root, program), 0o755);
  }
});
afterEach(() => rmSync(root, { recursive: true }));

function verify(unit: string) {
  // without --recursive-errors it never fails
  const args = ["verify", "--recursive-errors=no", `--root=${root}`, unit];
  const { status, stderr } = spawnSync("systemd-analyze", args, {
    env: { ...process.env, LC_ALL: "C" },
    encoding: "utf8",
    timeout: 30_000,
  });
  return { status, stderr };
}

const path = (unit: string) => join(root, "etc/systemd/system", unit.replace(/@.*\./, "@."));

describe.each(instances)("%s", (unit) => {
  test("is what systemd understands", () => {
    expect(verify(unit)).toEqual({ status: 0, stderr: "" });
  });

  test("with a slip is not", () => {
    const text = readFileSync(path(unit), "utf8");
    const slips: [from: RegExp, to: string, said: RegExp][] = [
      [/^Description=/m, "Descripton=", /Unknown key 'Descripton'/],
      [/^\[(Service|Socket)\]/m, "[Sevice]", /Unknown section 'Sevice'/],
      unit.endsWith(".socket")
        ? [/^SocketMode=.*/m, "SocketMode=all", /Failed to parse.*all/]
        : [/^ExecStart=\S+/m, "ExecStart=/usr/bin/nothing", /nothing is not executable/],
    ];
    for (const [from, to, said] of slips) {
      writeFileSync(path(unit), text.replace(from, to));
      const { status, stderr } = verify(unit);
      expect(stderr).toMatch(said);
      expect(status).not.toBe(0);
    }
  });
});

test("the program that the units start is where the guide puts it", () => {
  const guide = readFileSync(join(UNITS, "../README.md"), "utf8");
  for (const program of ["/opt/hypersdk", "/usr/local/bin/bun", "/opt/hypersdk/functions"]) {
    expect(guide).toContain(program);
  }
});

test("hypersdk.sysusers makes the user of single functions, in libvirt's group", () => {
  mkdirSync(join(root, "usr/lib/sysusers.d"), { recursive: true });
  const args = [`--root=${root}`, join(UNITS, "hypersdk.sysusers")];
  const { status } = spawnSync("systemd-sysusers", args, { timeout: 30_000 });
  expect(status).toBe(0);
  expect(readFileSync(join(root, "etc/passwd"), "utf8")).toMatch(
    /^hypersdk:.*:\/var\/lib\/hypersdk-functions:/m,
  );
  expect(readFileSync(join(root, "etc/group"), "utf8")).toMatch(/^libvirt:.*:hypersdk$/m);
});

test("hypersdk.toml is a good configuration", () => {
  const config = loadConfig({ HYPERSDK_CONFIG: join(UNITS, "hypersdk.toml") });
  expect(config.access.tokens).toBe("/etc/hypersdk/tokens.json");
});
