/** What `hypersdk build` makes says what the host says: served, called with arguments, and as an executable. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Manifest } from "../../../runtime/build/manifest.ts";
import { hypersdk } from "../../cli.ts";
import { clean, defineDomain, defineNetwork, netInfo, virsh } from "../../fixtures/live/virsh.ts";
import {
  agreed,
  cleanReads,
  functions,
  type Input,
  outcome,
  overHttp,
  prepareReads,
  reads,
  type Way,
  words,
} from "../../fixtures/live/ways.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startSshd } from "../../lab/sshd.ts";
import { startServer, type TestServer } from "../../server.ts";

const ROOT = join(import.meta.dirname, "../../..");
const folder = mkdtempSync(join(tmpdir(), "build-"));
afterAll(() => rmSync(folder, { recursive: true }));

async function build(target: string): Promise<Manifest> {
  const ran = await hypersdk(["build", target, "--compile", "--out", folder]);
  expect(ran.stderr).toBe("");
  return JSON.parse(ran.stdout);
}

/** An executable in a place where there is neither this project nor a Bun to be found. */
const alone = (name: string, args: string[]) =>
  hypersdk(
    [
      "--mount",
      "sh",
      "-euc",
      'mount -t tmpfs none "$1"; shift; exec "$@"',
      "sh",
      ROOT,
      join(folder, name),
      ...args,
    ],
    {
      launcher: "unshare",
      cwd: folder,
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
    },
  );

const bundle = (name: string, args: string[]) =>
  hypersdk([join(folder, `${name}.js`), ...args], { launcher: process.execPath, cwd: folder });

let host: TestServer;
beforeAll(async () => {
  host = await startServer();
});
afterAll(() => host.stop());
describe("all functions in one bundle", () => {
  let served: TestServer;
  beforeAll(async () => {
    const { functions: made } = await build(".");
    expect(made.map(({ path }) => path)).toEqual(functions.map(({ path }) => path));
    served = await startServer({}, [join(folder, "hypersdk.js")]);
  }, slow(120_000));
  afterAll(() => served.stop());

  const ways: Record<string, Way> = {
    http: overHttp(() => host),
    "bundle, over HTTP": overHttp(() => served),
    "bundle, with arguments": async (path, input) =>
      outcome(await bundle("hypersdk", [path.slice(1), ...words(input)])),
    executable: async (path, input) =>
      outcome(await alone("hypersdk", [path.slice(1), ...words(input)])),
  };

  describe("every function that reads says the same", () => {
    beforeAll(prepareReads);
    afterAll(cleanReads);

    test.each(reads)("%s", async (path, input) => {
      const { data } = await agreed(ways, path, input);
      expect(data).toBeDefined();
    });

    test("and refuses the same", async () => {
      const refused = await agreed(ways, "/libvirt/network", { name: "nowhere" });
      expect(refused.error?.code).toBe("not_found");
    });

    test("a page is the same text", async () => {
      const pages = await Promise.all(
        [host, served].map(async ({ url }) => (await fetch(`${url}/docs`)).text()),
      );
      expect(pages[0]).toContain("SwaggerUIBundle");
      expect(pages[1]).toBe(pages[0] as string);
    });
  });

  describe("functions that change something do the same", () => {
    afterEach(clean);
    const same = (path: string, input: Input, between?: () => Promise<void>) =>
      agreed(ways, path, input, between);

    test("a network: create, start, delete", async () => {
      const input = { name: "lan", bridge: "virbr7", subnet: "192.168.77.1", autostart: true };
      const created = await same("/libvirt/network/create", input, async () => {
        expect(await netInfo("lan")).toMatchObject({ Bridge: "virbr7", Autostart: "yes" });
        await virsh("net-undefine", "lan");
      });
      expect(created.data).toMatchObject({ name: "lan" });
      await defineNetwork("lan");
      await same("/libvirt/network/start", { name: "lan" }, async () => {
        expect(await netInfo("lan")).toMatchObject({ Active: "yes" });
        await virsh("net-destroy", "lan");
      });
      await same("/libvirt/network/delete", { name: "lan" }, async () => {
        expect(await netInfo("lan")).toBeUndefined();
        await defineNetwork("lan");
      });
    });

    test("a volume", async () => {
      const input = { pool: "default", name: "made", capacity: 0.5, format: "raw" };
      const { data } = await same("/libvirt/volume/create", input, async () => {
        await virsh("vol-delete", "made", "--pool", "default");
      });
      expect(data).toMatchObject({ name: "made", format: "raw", capacity_bytes: 2 ** 29 });
    });

    test("a batch", async () => {
      await defineDomain("one");
      const input = { domains: ["one", "nowhere"], paused: true };
      const { data } = await same("/libvirt/batch/start", input, async () => {
        expect((await virsh("domstate", "one")).trim()).toBe("paused");
        await virsh("destroy", "one");
      });
      expect(data).toMatchObject({ successful: 1, failed: 1 });
    });
  });
});

describe("one function in a bundle of its own needs no name", () => {
  afterEach(clean);

  const ownWays = (name: string, served: () => TestServer): Record<string, Way> => ({
    http: overHttp(() => host),
    "bundle, over HTTP": overHttp(served),
    "bundle, with arguments": async (_path, input) => outcome(await bundle(name, words(input))),
    executable: async (_path, input) => outcome(await alone(name, words(input))),
  });

  test.each<[target: string, input: Input, between?: () => Promise<void>]>([
    ["libvirt/network.ts", { name: "lan" }],
    ["libvirt/stats/memory", { name: "one" }],
    [
      "libvirt/network/start",
      { name: "lan" },
      async () => void (await virsh("net-destroy", "lan")),
    ],
  ])("%s", { timeout: slow(120_000) }, async (target, input, between) => {
    await defineNetwork("lan");
    await defineDomain("one");
    const { name, functions: made } = await build(target);
    const served = await startServer({}, [join(folder, `${name}.js`)]);
    try {
      const path = `${made[0]?.path}`;
      const { data } = await agreed(
        ownWays(name, () => served),
        path,
        input,
        between,
      );
      expect(data).toBeDefined();
    } finally {
      await served.stop();
    }
  });
});

test("a bundle reaches its hypervisor over SSH, without native addons", {
  timeout: slow(120_000),
}, async () => {
  const { name } = await build("libvirt/networks");
  const sshd = await startSshd();
  await defineNetwork("far");
  try {
    for (const call of [bundle, alone]) {
      const { data } = outcome(await call(name, ["--host", sshd.uri()]));
      expect(data).toMatchObject({ networks: [{ name: "far" }], total: 1 });
    }
    const env = { LIBVIRT_DEFAULT_URI: sshd.uri() };
    const served = await startServer(env, [join(folder, `${name}.js`)]);
    const { body } = await served.get("/libvirt/networks");
    await served.stop();
    expect(body.data).toMatchObject({ networks: [{ name: "far" }], total: 1 });
  } finally {
    await sshd.stop();
    await clean();
  }
});
