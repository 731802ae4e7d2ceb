/** Who stands on what, by any name of a file: from definitions as libvirt prints them. */
import { describe, expect, test } from "vitest";
import { assertUnused, readStorage } from "../../../../runtime/libvirt/storage/usage.ts";
import { disk, hypervisor, type World } from "../../../fixtures/storage.ts";

const V = { pool: "p", name: "v", path: "/p/v" };

/** The domains that use /p/v, and whether below another image, or shared. */
async function uses(disks: string, links: Record<string, string> = {}) {
  const world: World = {
    domains: { "a  vm": [true, disks] },
    pools: { p: { "/p/v": null } },
    links,
  };
  const storage = await readStorage(hypervisor(world).ctx);
  return storage
    .disksUsing(V)
    .map(({ domain, target, below, shared }) => [domain, target, below, shared]);
}

describe("a disk that is the volume", () => {
  test.each([
    ["by its file", disk("file='/p/v'")],
    ["by its device", disk("dev='/p/v'")],
    ["by pool and volume", disk("pool='p' volume='v'")],
    [
      "without saying what device it is",
      "<disk type='file'><source file='/p/v'/><target dev='vda'/></disk>",
    ],
    ["as a LUN", disk("dev='/p/v'", "", "lun")],
    ["as a floppy", disk("file='/p/v'", "", "floppy")],
  ])("%s", async (_how, disks) => {
    expect(await uses(disks)).toEqual([["a  vm", "vda", false, false]]);
  });

  test.each([
    ["read only", disk("file='/p/v'", "<readonly/>")],
    ["shareable", disk("file='/p/v'", "<shareable/>")],
    ["a CD-ROM", disk("file='/p/v'", "", "cdrom")],
  ])("shared: %s", async (_how, disks) => {
    expect(await uses(disks)).toEqual([["a  vm", "vda", false, true]]);
  });

  test("by another name of the file", async () => {
    expect(await uses(disk("file='/link'"), { "/link": "/p/v" })).toHaveLength(1);
    expect(await uses(disk("file='/link'"), { "/link": "/x", "/p/v": "/x" })).toHaveLength(1);
    expect(await uses(disk("file='/p/v'"), { "/p/v": "/x" })).toHaveLength(1);
  });

  test("below another image, at any depth", async () => {
    const store = (path: string, more = "") =>
      `<backingStore type='file'><format type='raw'/><source file='${path}'/>${more}</backingStore>`;
    const below = [["a  vm", "vda", true, false]];
    expect(await uses(disk("file='/p/top'", store("/p/v", "<backingStore/>")))).toEqual(below);
    expect(await uses(disk("file='/p/top'", store("/p/mid", store("/p/v"))))).toEqual(below);
  });
});

test.each([
  ["another file", disk("file='/p/v2'")],
  ["a file of its name elsewhere", disk("file='/q/v'")],
  ["another volume", disk("pool='p' volume='w'")],
  ["a volume of its name in another pool", disk("pool='q' volume='v'")],
  ["an empty CD-ROM", "<disk type='file' device='cdrom'><target dev='hdc'/></disk>"],
  ["a network disk", disk("protocol='rbd' name='p/v'")],
  ["no disk", "<interface type='network'><source file='/p/v'/></interface>"],
])("not the volume: %s", async (_what, disks) => {
  expect(await uses(disks)).toEqual([]);
});

describe("readStorage", () => {
  const world: World = {
    domains: { on: [true, disk("file='/p/v'")], off: [false, disk("pool='q  ' volume='w'")] },
    pools: {
      p: { "/p/v": null, "/p/child": "/link", "/p/grandchild": "/p/child", "/p/a   b": null },
      "q  ": { "/q/w": "/p/v" },
    },
    links: { "/link": "/p/v" },
  };

  test("children by any name of their base, in every pool; only the next generation", async () => {
    const storage = await readStorage(hypervisor(world).ctx);
    expect(storage.overlaysOf(V).sort()).toEqual(["/p/child", "/q/w"]);
    expect(storage.overlaysOf({ ...V, path: "/p/child" })).toEqual(["/p/grandchild"]);
    expect(storage.overlaysOf({ ...V, path: "/p/a   b" })).toEqual([]);
  });

  test("who runs, and the volume of a disk; the pool's name as it is", async () => {
    const storage = await readStorage(hypervisor(world).ctx);
    expect(storage.uses.map(({ domain, running }) => [domain, running])).toEqual([
      ["on", true],
      ["off", false],
    ]);
    const found = storage.uses.map((use) => storage.volumeOf(use));
    expect(found).toMatchObject([V, { pool: "q  ", name: "w", path: "/q/w" }]);
  });

  test("a pool is refreshed first; one that is at work refuses, and that is no failure", async () => {
    const fake = hypervisor(world);
    await readStorage(fake.ctx);
    const verbs = fake.verbs();
    expect(verbs.lastIndexOf("pool-refresh")).toBeLessThan(verbs.indexOf("vol-list"));
    expect(verbs.filter((verb) => verb === "pool-refresh")).toHaveLength(2);
  });

  test("a host with nothing: no process is started", async () => {
    const { ctx } = hypervisor({});
    ctx.exec = () => Promise.reject(new Error("exec"));
    expect(await readStorage(ctx)).toMatchObject({ uses: [], images: [] });
  });

  test("when the paths cannot be resolved, it does not guess", async () => {
    const { ctx } = hypervisor(world);
    ctx.exec = async () => ({ stdout: "", stderr: "realpath: no", exitCode: 123 });
    await expect(readStorage(ctx)).rejects.toMatchObject({ code: "command_failed" });
  });
});

describe("assertUnused", () => {
  const pools = { p: { "/p/v": null } };
  const on: [boolean, string] = [true, disk("file='/p/v'")];
  const off: [boolean, string] = [false, disk("file='/p/v'")];
  const refused = (world: World, force = false) =>
    assertUnused(hypervisor(world).ctx, V, force).then(
      () => undefined,
      ({ code, message, details }) => ({ code, message, details }),
    );

  test("free: it may be done", async () => {
    expect(await refused({ pools })).toBeUndefined();
    expect(await refused({ pools, domains: { vm: [true, disk("file='/p/w'")] } })).toBeUndefined();
  });

  test("domains that are off: unless forced", async () => {
    const world = { pools, domains: { a: off, b: off } };
    expect(await refused(world)).toEqual({
      code: "in_use",
      message: "volume v of pool p is used by a, b; force: true does it all the same",
      details: { domains: ["a", "b"] },
    });
    expect(await refused(world, true)).toBeUndefined();
  });

  test.each([false, true])(
    "a domain that runs: never (force: %s); a domain is named once",
    async (force) => {
      const twice: [boolean, string] = [true, `${on[1]}${on[1]}`];
      expect(await refused({ pools, domains: { a: off, b: twice } }, force)).toEqual({
        code: "in_use",
        message: "volume v of pool p is used by the running domain b",
        details: { domains: ["a", "b"] },
      });
    },
  );

  test.each([false, true])("an image that stands on it: never (force: %s)", async (force) => {
    const world = { pools: { p: { "/p/v": null, "/p/a": "/p/v", "/p/b": "/p/v" } } };
    expect(await refused(world, force)).toEqual({
      code: "in_use",
      message: "volume v of pool p is the base of /p/a, /p/b",
      details: { children: ["/p/a", "/p/b"] },
    });
  });
});
