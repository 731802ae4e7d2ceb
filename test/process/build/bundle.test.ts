import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Manifest } from "../../../runtime/build/manifest.ts";
import { hypersdk, onTerminal } from "../../cli.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer } from "../../server.ts";

vi.setConfig({ testTimeout: slow(60_000) }); // each starts processes

const folder = mkdtempSync(join(tmpdir(), "bundle-"));
const ROOT = join(import.meta.dirname, "../../..");
const env = { LIBVIRT_DEFAULT_URI: "test:///default", HYPERSDK_CONFIG: "" };
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

let manifest: Manifest;
beforeAll(async () => {
  const ran = await hypersdk(["build", "libvirt/networks", "--compile", "--out", folder]);
  expect(ran).toMatchObject({ code: 0, stderr: "" });
  manifest = JSON.parse(ran.stdout);
}, slow(60_000));
afterAll(() => rmSync(folder, { recursive: true }));

const file = (name: string) => join(folder, `libvirt-networks${name}`);

/** Runs to its end in an empty directory. */
function run(argv: string[], variables: Record<string, string> = {}) {
  const cwd = mkdtempSync(join(folder, "empty-"));
  const [program = "", ...args] = argv;
  const { status, stdout, stderr } = spawnSync(program, args, {
    cwd,
    env: { PATH, ...env, ...variables },
    encoding: "utf8",
    timeout: 30_000,
  });
  expect(readdirSync(cwd)).toEqual([]);
  return { status, stdout, stderr };
}

describe("the files", () => {
  test("are those of the manifest, with the size and SHA-256 that it says", () => {
    expect(JSON.parse(readFileSync(file(".json"), "utf8"))).toEqual(manifest);
    expect(manifest).toMatchObject({
      name: "libvirt-networks",
      bun: Bun.version,
      functions: [
        { path: "/libvirt/networks", method: "GET", access: "read", summary: "List networks" },
      ],
    });
    const names = manifest.files.map((one) => one.file);
    expect(names).toEqual(["libvirt-networks.js", "libvirt-networks.js.jsc", "libvirt-networks"]);
    for (const one of manifest.files) {
      const content = readFileSync(join(folder, one.file));
      const sha256 = createHash("sha256").update(content).digest("hex");
      expect(one).toEqual({ file: one.file, bytes: content.length, sha256 });
    }
    const made = readdirSync(folder).filter((name) => !name.startsWith("empty-"));
    expect(made.sort()).toEqual([...names, "libvirt-networks.json"].sort());
  });

  test("the bundle is under 1 MB, minified, and says nothing of this machine", () => {
    const text = readFileSync(file(".js"), "utf8");
    expect(text.length).toBeLessThan(1e6);
    expect(text.split("\n").length).toBeLessThan(text.length / 500);
    expect(text).not.toContain(ROOT);
    expect(text).not.toMatch(/\.node\b["']/); // no native addons
  });

  test("its bytecode is used", () => {
    const { stderr, stdout } = run([process.execPath, file(".js"), "libvirt/networks"], {
      BUN_JSC_verboseDiskCache: "1",
    });
    expect(stdout + stderr).toContain("Cache hit for sourceCode");
  });

  test("are the same when they are made again", async () => {
    const again = join(folder, "empty-again");
    await hypersdk(["build", "libvirt/networks", "--out", again]);
    const made = JSON.parse(readFileSync(join(again, "libvirt-networks.json"), "utf8")) as Manifest;
    expect(made.files).toEqual(manifest.files.slice(0, 2));
  });
});

describe.each([
  ["the bundle", () => [process.execPath, file(".js")]],
  ["the executable", () => [file("")]],
])("%s, alone in an empty directory", (_what, argv) => {
  const networks = [expect.objectContaining({ name: "default", active: true })];

  test("with arguments runs once, and prints JSON", () => {
    const { status, stdout, stderr } = run([...argv(), "libvirt/networks"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ networks, total: 1 });
    expect(run([...argv(), "--host", "local"])).toMatchObject({ status: 0, stdout });
  });

  test("says as JSON what was wrong, as the command line does", () => {
    const { status, stdout, stderr } = run([...argv(), "nme=x"]);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(JSON.parse(stderr)).toMatchObject({
      code: "invalid_input",
      error: expect.stringContaining("nme"),
    });
    expect(run([...argv(), "--help"])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^List networks \(GET \/libvirt\/networks\)/),
    });
  });

  test("reads its settings, and says what is wrong with them", () => {
    const config = join(folder, "empty-settings.toml");
    const settings = { HYPERSDK_CONFIG: config, LIBVIRT_DEFAULT_URI: "" };
    writeFileSync(config, '[hosts.local]\nuri = "test:///default"\n');
    const ran = run([...argv(), "libvirt/networks"], settings);
    expect(JSON.parse(ran.stdout)).toEqual({ networks, total: 1 });
    writeFileSync(config, "prot = 1\n");
    const { stdout, stderr } = run([...argv(), "libvirt/networks"], settings);
    expect(stdout + stderr).toMatch(/unknown key .*prot/);
  });

  test("has SSH in it", () => {
    const { status, stderr } = run([...argv(), "--host", "qemu+ssh://root@127.0.0.1:1/system"]);
    expect({ status, ...JSON.parse(stderr) }).toMatchObject({
      status: 1,
      code: "unreachable",
      error: expect.stringContaining("nothing listens at root@127.0.0.1:1"),
    });
  });

  test("its log on a terminal is for people", async () => {
    const terminal = onTerminal(argv(), { env: { ...env, PORT: "0" }, cwd: folder });
    await terminal.shows(/INFO.*: .*\/libvirt\/networks on http:\/\/127/);
    await terminal.close();
  });

  test("without arguments serves, and ends with SIGTERM", async () => {
    const [program = "", ...args] = argv();
    const server = await startServer({ ...env, PATH }, args, program);
    try {
      expect(await server.get("/libvirt/networks")).toMatchObject({
        status: 200,
        body: { status: "success", data: { networks, total: 1 } },
      });
      expect(await server.get("/libvirt/network")).toMatchObject({ status: 404 });
      expect(server.log()).toContain("/libvirt/networks on http://127.0.0.1:");
    } finally {
      await server.stop();
    }
  });
});

test("the executable is not configured by where it is started", () => {
  const cwd = mkdtempSync(join(folder, "empty-"));
  copyFileSync(file(""), join(cwd, "networks"));
  writeFileSync(join(cwd, ".env"), "LIBVIRT_DEFAULT_URI=test:///nowhere\n");
  writeFileSync(join(cwd, "bunfig.toml"), 'preload = ["./no-such-file.ts"]\n');
  const stdout = execFileSync("./networks", ["libvirt/networks"], {
    cwd,
    env: { PATH, ...env },
    timeout: 30_000,
  });
  expect(`${stdout}`).toContain("default");
});

describe("a folder", () => {
  test("is one bundle of all its functions, which are named first", async () => {
    const ran = await hypersdk(["build", "libvirt/stats", "--out", folder]);
    const made = JSON.parse(ran.stdout) as Manifest;
    expect(made.functions.map(({ path }) => path)).toEqual(
      expect.arrayContaining(["/libvirt/stats", "/libvirt/stats/all", "/libvirt/stats/cpu"]),
    );
    const stats = join(folder, "libvirt-stats.js");
    const { status, stdout } = run([process.execPath, stats, "libvirt/stats/memory", "name=test"]);
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toHaveProperty("memory");
    const unnamed = run([process.execPath, stats, "name=test"]);
    expect(unnamed.status).toBe(2);
  });
});

describe("a build that fails", () => {
  test("says which functions there are none of", async () => {
    const ran = await hypersdk(["build", "no/such", "--out", folder]);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(ran.stderr).toContain("no/such: no such function");
  });

  test("says what cannot be bundled, and leaves what was there", async () => {
    const root = mkdtempSync(join(folder, "empty-"));
    for (const name of ["functions", "runtime", "package.json"]) {
      cpSync(join(ROOT, name), join(root, name), { recursive: true });
    }
    symlinkSync(join(ROOT, "node_modules"), join(root, "node_modules"));
    const health = join(root, "functions/health.ts");
    const text = readFileSync(health, "utf8");
    writeFileSync(health, text.replace("async run() {", '$&\n    await import("./gone.ts");'));
    mkdirSync(join(root, "build"));
    writeFileSync(join(root, "build/health.js"), "before");
    const main = join(root, "runtime/cli/main.ts");
    const ran = spawnSync(process.execPath, [main, "build", "health"], {
      cwd: root,
      encoding: "utf8",
      timeout: 30_000,
    });
    expect(ran).toMatchObject({ status: 1, stdout: "" });
    expect(ran.stderr).toMatch(/the bundle cannot be made: .*\.\/gone\.ts/s);
    expect(readdirSync(join(root, "build"))).toEqual(["health.js"]);
    expect(readFileSync(join(root, "build/health.js"), "utf8")).toBe("before");
  });
});
