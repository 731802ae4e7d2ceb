/** Scripts of another project, with this one installed from its tarball: they run, end, and are checked. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { hypersdk } from "../../cli.ts";
import { installPacked } from "../../fixtures/live/packed.ts";
import {
  clean,
  defineNetwork,
  netInfo,
  networkNames,
  processes,
  sessions,
  until,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startSshd } from "../../lab/sshd.ts";
import { startServer, type TestServer } from "../../server.ts";

let project: string;
beforeAll(async () => {
  project = await mkdtemp(join(tmpdir(), "consumer-"));
  await installPacked(project);
}, slow(240_000));
afterAll(() => rm(project, { recursive: true }));
afterEach(clean);

/** Run a file of the project to its end, `ms` after its last word; no virsh may outlive it. */
async function script(
  text: string,
  { program = process.execPath, server }: { program?: string; server?: TestServer } = {},
) {
  const before = processes("virsh");
  const name = program === "node" ? "script.mjs" : "script.ts";
  await writeFile(join(project, name), text);
  let last = performance.now();
  const child = spawn(program, [name, server?.url ?? ""], { cwd: project, timeout: 30_000 });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (data) => {
    stdout += data;
    last = performance.now();
  });
  child.stderr.on("data", (data) => {
    stderr += data;
    last = performance.now();
  });
  const [code] = await once(child, "close");
  const ms = performance.now() - last;
  const over = () => {
    const others = [...before, ...(server ? sessions(server) : [])];
    return processes("virsh").every((pid) => others.includes(pid));
  };
  await until("no virsh outlives the script", over, 1);
  return { code, stdout, stderr, ms };
}

/** The two of the README. */
const readme = readFileSync(join(import.meta.dirname, "../../../README.md"), "utf8");
const [, ...blocks] = readme.slice(readme.indexOf("## From a script")).split("```ts\n");
const [TEN_LINES = "", CLIENT = ""] = blocks.map((block) => block.split("```")[0]);

describe("a script of ten lines", () => {
  test("lists networks, creates one, and ends by itself", async () => {
    await defineNetwork("there");
    const { code, stdout, stderr, ms } = await script(TEN_LINES);
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: '[ "there" ]\n2\ntrue not_found 404\n',
      stderr: "",
    });
    expect(ms).toBeLessThan(slow(2000));
    expect(await netInfo("made")).toMatchObject({
      Bridge: "virbr7",
      Autostart: "yes",
      Active: "no",
    });
  });

  test("the same over SSH, by a URI that no configuration names", async () => {
    const sshd = await startSshd();
    try {
      const far = `{ host: "kvm1", uri: ${JSON.stringify(sshd.uri())} }`;
      const { code, stdout, ms } = await script(TEN_LINES.replace('{ host: "local" }', far));
      expect({ code, stdout }).toEqual({ code: 0, stdout: "[]\n1\ntrue not_found 404\n" });
      expect(ms).toBeLessThan(slow(2000));
      expect(await networkNames()).toEqual(["made"]);
    } finally {
      await sshd.stop();
    }
  });

  test("an error that nobody catches ends it, with 1", async () => {
    const { code, stderr, ms } = await script(
      `import { connect } from "hypersdk";\nawait connect()("GET /libvirt/network", { name: "x" });`,
    );
    expect(code).toBe(1);
    expect(stderr).toContain("HyperError: Network not found");
    expect(ms).toBeLessThan(slow(2000));
  });
});

describe("its types, checked by tsc", () => {
  /** What tsc has to say, without skipLibCheck; "" when nothing is wrong. */
  async function check(texts: string[], ...options: string[]): Promise<string> {
    const files = texts.map((_, i) => join(project, `checked${i}.ts`));
    await Promise.all(texts.map((text, i) => writeFile(files[i] ?? "", text)));
    const base = ["--ignoreConfig", "--noEmit", "--strict", "--target", "es2022", ...files];
    const tsc = join(import.meta.dirname, "../../../node_modules/.bin/tsc");
    const run = promisify(execFile)(tsc, [...base, ...options], { cwd: project });
    return run.then(
      ({ stdout }) => stdout,
      ({ stdout }) => stdout,
    );
  }

  test.each([
    ["--module nodenext"],
    ["--module preserve"],
    ["--module nodenext --lib es2022"],
    ["--module preserve --exactOptionalPropertyTypes --noUnusedLocals --noUncheckedIndexedAccess"],
  ])("right, with %s", { timeout: slow(120_000) }, async (options) => {
    expect(await check([TEN_LINES, CLIENT], ...options.split(" "))).toBe("");
  });

  test("what is wrong does not compile", { timeout: slow(120_000) }, async () => {
    const wrong: [line: string, error: RegExp][] = [
      ['createNetwork({ nam: "x" })', /TS2353|TS2561/],
      ['createNetwork({ name: "x", forward: "nut" })', /TS2322.*"nut"/],
      ["createNetwork({})", /TS2741.*'name'/],
      ['(await createNetwork({ name: "x" })).uid', /TS2339|TS2551/],
      ['connect()("POST /libvirt/networks")', /TS2345/],
      ['connect()("GET /libvirt/network")', /TS2554/],
      ['createClient("http://x")("GET /libvirt/network", { nme: "x" })', /TS2353|TS2561/],
    ];
    const imports = `import { connect } from "hypersdk";
import { createClient } from "hypersdk/client";
import createNetwork from "hypersdk/functions/libvirt/network/create";
export { connect, createClient, createNetwork };
`;
    const texts = wrong.map(([line]) => `${imports}${line};\n`);
    const said = (await check(texts, "--module", "nodenext")).split(/\n(?=\S)/);
    for (const [i, [line, error]] of wrong.entries()) {
      const own = said.filter((text) => text.startsWith(`checked${i}.ts(5,`));
      expect(own, line).toHaveLength(1);
      expect(own[0]).toMatch(error);
    }
    expect(said.filter((text) => text.includes("error TS"))).toHaveLength(wrong.length);
  });
});

describe("a typed client of a server", () => {
  const text = `import { createClient, HyperError } from "hypersdk/client";
const call = createClient(process.argv[2] ?? "");
await call("POST /libvirt/network/create", { name: "remote" });
console.log((await call("GET /libvirt/networks")).networks.map(({ name }) => name).join());
const refused = await call("GET /libvirt/network", { name: "nowhere" }).catch((error) => error);
console.log(refused instanceof HyperError, refused.code, refused.status);
`;

  test.each(["bun", "node"])("in %s", async (runtime) => {
    const server = await startServer();
    try {
      const program = runtime === "bun" ? process.execPath : "node";
      const { code, stdout, stderr } = await script(text, { program, server });
      expect({ code, stdout, stderr }).toEqual({
        code: 0,
        stdout: "remote\ntrue not_found 404\n",
        stderr: "",
      });
      expect(await networkNames()).toEqual(["remote"]);
    } finally {
      await server.stop();
    }
  });
});

test("the command of the package finds the Bun that came with it", async () => {
  await defineNetwork("there");
  const launcher = join(project, "node_modules/.bin/hypersdk");
  const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  const run = { launcher, cwd: project, env: { PATH } };
  const { code, stdout } = await hypersdk(["call", "libvirt/networks"], run);
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ networks: [{ name: "there" }] });
  const npx = { ...run, launcher: "npx" };
  expect(await hypersdk(["--no", "hypersdk", "--version"], npx)).toMatchObject({ code: 0 });
});
