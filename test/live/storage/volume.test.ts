/** Pools and volumes on a real libvirtd, as virsh, qemu-img and the file system see them. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { env, expectError, expectSuccess, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Answer } from "../../server.ts";

const run = promisify(execFile);
const ROOT = "/var/lib/libvirt/pools";
const STORE = `${ROOT}/store`;
const IMAGES = "/var/lib/libvirt/images";
/** So small that it is soon full. */
const SMALL = `${ROOT}/small`;
const MIB = 2 ** 20;
const GIB = 2 ** 30;

const sh = (script: string) =>
  run("sh", ["-euc", script], { cwd: STORE, env, timeout: slow(30_000) });

const { test, server } = labTest();
beforeAll(async () => {
  mkdirSync(SMALL, { recursive: true });
  await run("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", SMALL]);
  await makePool("store");
});
afterAll(async () => {
  await virsh("pool-destroy store; pool-undefine store");
  await run("umount", [SMALL]);
  rmSync(ROOT, { recursive: true });
});
afterEach(async () => {
  const uuids = (await virsh("pool-list --all --uuid; pool-uuid default; pool-uuid store")).match(
    /\S+/g,
  );
  const once =
    uuids?.filter((id, i, all) => all.indexOf(id) === i && all.lastIndexOf(id) === i) ?? [];
  const commands = once.map((id) => `pool-destroy ${id}; pool-undefine ${id}; `);
  for (const folder of [SMALL, ROOT, STORE, IMAGES]) {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (path !== SMALL && path !== STORE) rmSync(path, { recursive: true });
    }
  }
  await virsh(`${commands.join("")}pool-refresh store; pool-refresh default`).catch(() => {}); // a transient one is gone
});

/** Hand libvirt a pool of a folder. */
async function makePool(name: string, folder = join(ROOT, name)) {
  mkdirSync(folder, { recursive: true });
  const definition = xml`<pool type="dir"><name>${name}</name><target><path>${folder}</path></target></pool>`;
  await writeFile(`${ROOT}/pool.xml`, `${definition}`);
  await virsh("pool-define", `${ROOT}/pool.xml`);
  await rm(`${ROOT}/pool.xml`);
  await virsh("pool-start", "--pool", name);
}

/** A volume that libvirt did not make; bytes beyond the first are as qemu-img converts them. */
async function image(name: string, format = "raw") {
  await sh(`head -c 300000 /dev/urandom >raw; truncate -s 2M raw; head -c 100000 /dev/urandom >>raw
    truncate -s 4M raw; qemu-img convert -O ${format} raw '${name}.new'; rm raw; mv '${name}.new' '${name}'`);
  await virsh("pool-refresh", "store");
}

const post = (verb: string, input: object, pool = "store") =>
  server.post(`/libvirt/volume/${verb}`, { pool, ...input });
const info = (volume: string, pool = "store") =>
  server.get(`/libvirt/volume/info?${new URLSearchParams({ pool, volume })}`);

/** A volume as qemu-img and the file system see it, in the words of our answer. */
async function seen(name: string, pool = "store", folder = join(ROOT, pool)) {
  const path = join(folder, name);
  const { stdout } = await run("qemu-img", ["info", "-U", "--output=json", path]);
  const said = JSON.parse(stdout);
  const backing = said["full-backing-filename"];
  return {
    pool,
    name,
    path,
    type: "file",
    format: said.format,
    capacity_bytes: said["virtual-size"],
    encrypted: false,
    allocation_bytes: statSync(path).blocks * 512,
    backing: backing ? { path: backing, format: said["backing-filename-format"] } : null,
  };
}

/** What libvirt lists, and what the folder holds; each file by a hash of its bytes. */
async function contents(pool = "store", folder = join(ROOT, pool)) {
  const listed = (await virsh("vol-list", "--pool", pool)).split("\n").filter(Boolean).length;
  const files = readdirSync(folder).map((name) => [
    name,
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex"),
  ]);
  return { listed, files: Object.fromEntries(files) };
}

async function expectIdentical(a: string, b: string) {
  const { stdout } = await run("qemu-img", ["compare", join(ROOT, a), join(ROOT, b)]);
  expect(stdout).toContain("Images are identical.");
}

test("the reference's examples, one after the other", async () => {
  const pool = "default";
  await sh(`head -c 1M /dev/urandom >raw; qemu-img convert -O vmdk raw /var/lib/libvirt/vm-disk.vmdk
    qemu-img convert -O qcow2 raw ${IMAGES}/vm-disk; virsh pool-refresh default`);
  const steps: [string, object, number][] = [
    ["create", { name: "data-disk", format: "qcow2", capacity: 50, prealloc: false }, 201],
    [
      "clone",
      { source_volume: "vm-disk", target_volume: "vm-disk-backup", target_pool: pool },
      201,
    ],
    ["resize", { volume: "data-disk", capacity: 100, shrink: false }, 200],
    // but for its folder, which the lab does not cover
    [
      "upload",
      { volume: "imported-vm", source_path: "/var/lib/libvirt/vm-disk.vmdk", format: "qcow2" },
      201,
    ],
    ["wipe", { volume: "vm-disk", algorithm: "zero" }, 200],
    ["delete", { volume: "vm-disk" }, 200],
  ];
  for (const [verb, input, status] of steps) expectSuccess(await post(verb, input, pool), status);
  expect(expectSuccess(await info("data-disk", pool))).toMatchObject({
    capacity_bytes: 100 * GIB,
    format: "qcow2",
  });
  expect(readdirSync(IMAGES).sort()).toEqual(["data-disk", "imported-vm", "vm-disk-backup"]);
  for (const name of ["imported-vm", "vm-disk-backup"]) {
    await run("qemu-img", ["compare", "-f", "raw", `${STORE}/raw`, `${IMAGES}/${name}`]);
  }
  rmSync("/var/lib/libvirt/vm-disk.vmdk");
});

describe("pools", () => {
  test("running, stopped, transient, automatically started, as virsh has them", async () => {
    await makePool("off");
    await virsh("pool-destroy", "off");
    await virsh("pool-autostart", "off");
    mkdirSync(join(ROOT, "passing"));
    await virsh("pool-create-as", "passing", "dir", "--target", join(ROOT, "passing"));
    await makePool("two   words ; $HOME 'ü\"");
    const { pools, total } = expectSuccess(await server.get("/libvirt/pools"));
    expect(total).toBe(5);
    for (const pool of pools) {
      const rows = (await virsh("pool-info", "--bytes", "--pool", pool.uuid)).trimEnd().split("\n");
      const said = Object.fromEntries(rows.map((row) => row.split(/: +/)));
      const active = said.State === "running";
      const path = (await virsh("pool-dumpxml", "--pool", pool.uuid)).match(
        /<path>(.*)<\/path>/,
      )?.[1];
      expect(pool).toEqual({
        name: said.Name,
        uuid: said.UUID,
        type: "dir",
        path: path?.replace("&quot;", '"').replace("&apos;", "'"),
        active,
        persistent: said.Persistent === "yes",
        autostart: said.Autostart === "yes",
        capacity_bytes: active ? Number(said.Capacity) : null,
        allocation_bytes: active ? expect.any(Number) : null, // others write to this tmpfs, too
        available_bytes: active ? expect.any(Number) : null,
      });
    }
    const shown = (name: string) => pools.find((pool: { name: string }) => pool.name === name);
    expect(shown("off")).toMatchObject({ active: false, persistent: true, autostart: true });
    expect(shown("passing")).toMatchObject({ active: true, persistent: false, autostart: false });
    expect(shown("two   words ; $HOME 'ü\"")).toMatchObject({ active: true, persistent: true });
  });

  test("the size of a pool with a file system of its own", async () => {
    await makePool("small");
    await post("create", { name: "v", format: "raw", capacity: "1MiB", prealloc: true }, "small");
    const { pools } = expectSuccess(await server.get("/libvirt/pools"));
    expect(pools.find((pool: { name: string }) => pool.name === "small")).toMatchObject({
      capacity_bytes: 4 * MIB,
      allocation_bytes: MIB,
      available_bytes: 3 * MIB,
    });
  });
});

describe("volumes and volume/info", () => {
  test("none, and those of every kind, as qemu-img sees them", async () => {
    const list = () => server.get("/libvirt/volumes?pool=store");
    expect(expectSuccess(await list())).toEqual({
      volumes: [],
      total: 0,
      unreadable: [],
    });
    await sh(`qemu-img create -f raw raw 3M; qemu-img create -f qcow2 base.qcow2 5G
      qemu-img create -f qcow2 -b base.qcow2 -F qcow2 relative; qemu-img create -f qcow2 -b ${STORE}/raw -F raw absolute
      qemu-img create -f vmdk v.vmdk 7M; qemu-img create -f vdi v.vdi 8M; echo text >notes; : >empty`);
    await virsh("pool-refresh", "store");
    const names = ["raw", "base.qcow2", "relative", "absolute", "v.vmdk", "v.vdi"];
    const { volumes, total } = expectSuccess(await list());
    expect(total).toBe(8);
    for (const name of names) {
      const expected = await seen(name);
      expect(volumes.find((one: { name: string }) => one.name === name)).toEqual(expected);
      expect(expectSuccess(await info(name))).toEqual({ ...expected, data_file: null });
    }
    expect(expectSuccess(await info("notes"))).toMatchObject({ capacity_bytes: 5, format: "raw" });
    expect(expectSuccess(await info("empty"))).toMatchObject({ capacity_bytes: 0 });
  });

  test("without a pool they are those of default", async () => {
    const ours = await server.get("/libvirt/volumes");
    const named = await server.get("/libvirt/volumes?pool=default");
    expect(expectSuccess(ours)).toEqual(named.body.data);
    expect(ours.body.message).toMatch(/in pool default$/);
  });

  test("300 volumes", async () => {
    await sh("for i in $(seq 300); do : >v$i; done");
    await virsh("pool-refresh", "store");
    const { volumes, total } = expectSuccess(await server.get("/libvirt/volumes?pool=store"));
    const names = Array.from({ length: 300 }, (_, i) => `v${i + 1}`);
    expect([total, volumes.map(({ name }: { name: string }) => name).sort()]).toEqual([
      300,
      names.sort(),
    ]);
  });
});

describe("create", () => {
  test("capacities: GiB, or what the unit says, and never less", async () => {
    const SIZES: [number | string, number][] = [
      [1, GIB],
      [0.5, GIB / 2],
      [1.5, 1.5 * GIB],
      [0.001, 1073742],
      ["512MiB", 512 * MIB],
      ["1.5GB", 1_500_000_000],
      ["3 M", 3 * MIB],
      ["100 KB", 100_000],
      ["1tib", 1024 * GIB],
      ["1048576 B", MIB],
      ["1000 bytes", 1000],
    ];
    for (const [capacity, bytes] of SIZES) {
      for (const format of ["raw", "qcow2"]) {
        const name = `${capacity}.${format}`;
        const data = expectSuccess(await post("create", { name, format, capacity }), 201);
        const size = (await seen(name)).capacity_bytes; // qemu-img counts sectors, libvirt KiB
        expect(size - bytes).toBeGreaterThanOrEqual(0);
        expect(size - bytes).toBeLessThan(1024);
        expect(size - data.capacity_bytes).toBeGreaterThanOrEqual(0);
        expect(size - data.capacity_bytes).toBeLessThan(512);
      }
      expect(statSync(`${STORE}/${capacity}.raw`).size).toBe(bytes);
    }
  });

  test("capacities that are none", async () => {
    const BAD = [
      0,
      -1,
      "",
      " ",
      "abc",
      "1 XB",
      "-5G",
      "0GiB",
      "1e3",
      "1,5G",
      "5 G B",
      "1GiB\n",
      null,
      true,
      [],
      1e10,
    ];
    for (const capacity of BAD) {
      const answer = await post("create", { name: "v", capacity });
      expectError(answer, 400, "invalid_input", /^capacity: /);
      expect(answer.body.issues).toMatchObject([{ path: "capacity" }]);
    }
    expect(readdirSync(STORE)).toEqual([]);
  });

  test.each(["qcow2", "raw", "vmdk", "vdi", "vpc", "qed", "qcow"])("format %s", async (format) => {
    const data = expectSuccess(await post("create", { name: "v", format, capacity: 40 }), 201);
    const made = await seen("v");
    expect(data).toEqual({ ...made, format });
    // the geometry of a VHD is coarse, and it has no magic where qemu-img looks for one
    expect(made.capacity_bytes).toBeGreaterThanOrEqual(40 * GIB);
    if (format !== "vpc") expect(made).toMatchObject({ format, capacity_bytes: 40 * GIB });
    expect(made.allocation_bytes).toBeLessThan(2 * MIB);
    if (format === "raw") expect(made.allocation_bytes).toBe(0);
  });

  test("qcow2 unless asked otherwise", async () => {
    const answer = await post("create", { name: "v", capacity: 1 });
    expect(answer.body.message).toBe("Volume v created in pool store");
    expect(expectSuccess(answer, 201)).toEqual(await seen("v"));
    expect(answer.body.data.format).toBe("qcow2");
  });

  test("prealloc: all of a raw volume, the metadata of a qcow2", async () => {
    const all = { capacity: "64MiB", prealloc: true };
    const raw = expectSuccess(await post("create", { name: "r", format: "raw", ...all }), 201);
    expect(raw.allocation_bytes).toBe(64 * MIB);
    expect(statSync(`${STORE}/r`).blocks * 512).toBe(64 * MIB);
    for (const prealloc of [true, false]) {
      const name = `q-${prealloc}`;
      expectSuccess(await post("create", { name, ...all, prealloc }), 201);
      const { stdout } = await run("qemu-img", ["check", "--output=json", `${STORE}/${name}`]);
      const said = JSON.parse(stdout);
      expect(said["allocated-clusters"] ?? 0).toBe(prealloc ? said["total-clusters"] : 0);
      expect(statSync(`${STORE}/${name}`).blocks * 512).toBeLessThan(2 * MIB);
    }
  });

  test("what is refused leaves nothing", async () => {
    for (const format of ["vmdk", "vdi", "vpc", "qed", "qcow"]) {
      const answer = await post("create", { name: "v", capacity: 1, format, prealloc: true });
      expectError(answer, 400, "invalid_input", /^prealloc: only for .*qcow2 and raw/);
    }
    for (const format of ["iso", "QCOW2", "", "qcow2,x=y", 1]) {
      const answer = await post("create", { name: "v", capacity: 1, format });
      expectError(answer, 400, "invalid_input", /^format: .*qcow2/);
    }
    for (const prealloc of ["yes", 1, null]) {
      const answer = await post("create", { name: "v", capacity: 1, prealloc });
      expectError(answer, 400, "invalid_input", /^prealloc: /);
    }
    expect(readdirSync(STORE)).toEqual([]);
  });

  test("a name that is taken stays what it is, whoever of four came first", async () => {
    const tries = ["raw", "qcow2", "vmdk", "vdi"].map((format) =>
      post("create", { name: "v", capacity: "1MiB", format }),
    );
    const codes = (await Promise.all(tries)).map(({ status, body }) => body.code ?? status);
    expect(codes.sort()).toEqual([201, "already_exists", "already_exists", "already_exists"]);
    const before = await contents();
    expectError(await post("create", { name: "v", capacity: 2 }), 500, "already_exists", /'v'/);
    await sh("echo precious >unknown"); // libvirt does not know this file
    const unknown = await post("create", { name: "unknown", capacity: 2 });
    expectError(unknown, 500, "already_exists", /unknown/);
    rmSync(`${STORE}/unknown`);
    expect(await contents()).toEqual(before);
  });

  test("a full pool: no space, and nothing is left", async () => {
    await makePool("small");
    const input = { name: "v", format: "raw", capacity: "8MiB", prealloc: true };
    expectError(await post("create", input, "small"), 500, "no_space", /space/);
    expect(await contents("small")).toEqual({ listed: 0, files: {} });
  });
});

describe("clone", () => {
  test.each(["raw", "qcow2", "vmdk", "vdi"])(
    "%s, within its pool and into another",
    async (format) => {
      await makePool("other");
      await image("source", format);
      const before = await contents();
      for (const pool of ["store", "other"]) {
        const input = { source_volume: "source", target_volume: "copy" };
        const answer = await post(
          "clone",
          pool === "store" ? input : { ...input, target_pool: pool },
        );
        expect(answer.body.message).toBe(`Volume source cloned to copy in pool ${pool}`);
        expect(expectSuccess(answer, 201)).toEqual(await seen("copy", pool));
        expect(answer.body.data).toMatchObject({ format, capacity_bytes: 4 * MIB });
        await expectIdentical("store/source", `${pool}/copy`);
        expect(statSync(join(ROOT, pool, "copy")).blocks * 512).toBeLessThan(3 * MIB);
      }
      rmSync(`${STORE}/copy`);
      await virsh("pool-refresh", "store");
      expect(await contents()).toEqual(before);
    },
  );

  test("an overlay of an overlay becomes one image, which outlives them", async () => {
    await image("base");
    await sh(`qemu-img create -f qcow2 -b base -F raw middle; qemu-img create -f qcow2 -b ${STORE}/middle -F qcow2 top 6M
      qemu-io -c 'write -P 7 1M 64k' middle; qemu-io -c 'write -P 8 5M 64k' top; qemu-img convert -O raw top ${ROOT}/flat`);
    await virsh("pool-refresh", "store");
    const copy = { source_volume: "top", target_volume: "copy" };
    const data = expectSuccess(await post("clone", copy), 201);
    expect(data).toEqual(await seen("copy"));
    expect(data).toMatchObject({ format: "qcow2", capacity_bytes: 6 * MIB, backing: null });
    await sh("rm base middle top");
    await expectIdentical("flat", "store/copy");
  });

  test("a qcow2 of QEMU's present kind, as create makes, too", async () => {
    expectSuccess(await post("create", { name: "made", capacity: 1 }), 201);
    expectSuccess(await post("clone", { source_volume: "made", target_volume: "copy" }), 201);
    for (const name of ["made", "copy"]) {
      const { stdout } = await run("qemu-img", ["info", "--output=json", join(STORE, name)]);
      expect(JSON.parse(stdout)["format-specific"].data.compat).toBe("1.1");
    }
  });

  test("of exactly the source's size, also one that is no whole KiB", async () => {
    const size = 10 * MIB + 512;
    await sh(`head -c ${size} /dev/urandom >odd.raw; qemu-img convert -O qcow2 odd.raw odd.qcow2`);
    await virsh("pool-refresh", "store");
    for (const name of ["odd.raw", "odd.qcow2"]) {
      const copy = { source_volume: name, target_volume: `copy-${name}` };
      expect(expectSuccess(await post("clone", copy), 201).capacity_bytes).toBe(size);
      await expectIdentical(`store/${name}`, `store/copy-${name}`);
    }
  });

  test("a folder in the pool is no image: nothing is made of it", async () => {
    await sh("mkdir sub 'lost+found'; touch sub/file");
    await virsh("pool-refresh", "store");
    for (const name of ["sub", "lost+found"]) {
      const copy = { source_volume: name, target_volume: "copy" };
      expectError(
        await post("clone", copy),
        400,
        "invalid_input",
        /^source_volume: .* is a folder/,
      );
      expectError(await post("wipe", { volume: name }), 400, "invalid_input", /is a folder/);
      expectError(
        await post("resize", { volume: name, capacity: 1 }),
        400,
        "invalid_input",
        /folder/,
      );
    }
    expect((await sh("ls -A . sub")).stdout).toBe(".:\nlost+found\nsub\n\nsub:\nfile\n");
  });

  test("an ISO image stays one", async () => {
    await sh("truncate -s 1M x.iso; printf CD001 | dd of=x.iso bs=1 seek=32769 conv=notrunc");
    await virsh("pool-refresh", "store");
    expectSuccess(await post("clone", { source_volume: "x.iso", target_volume: "y.iso" }), 201);
    const { files } = await contents();
    expect(files["y.iso"]).toBe(files["x.iso"]);
  });

  test("a name that is taken, in either pool, or the source's own: all stay as they are", async () => {
    await makePool("other");
    await image("source", "qcow2");
    await image("copy");
    await sh(`echo precious >${ROOT}/other/copy`);
    await virsh("pool-refresh", "other");
    const before = [await contents(), await contents("other")];
    for (const [target_volume, target_pool] of [
      ["copy", "store"],
      ["copy", "other"],
      ["source", "store"],
    ]) {
      const answer = await post("clone", { source_volume: "source", target_volume, target_pool });
      expectError(answer, 500, "already_exists", new RegExp(`'${target_volume}'`));
    }
    expect([await contents(), await contents("other")]).toEqual(before);
  });

  test("four at once to one name: one copy, whole", async () => {
    await image("source");
    const tries = Array.from({ length: 4 }, () =>
      post("clone", { source_volume: "source", target_volume: "copy" }),
    );
    const codes = (await Promise.all(tries)).map(({ status, body }) => body.code ?? status);
    expect(codes.filter((code) => code === 201)).toHaveLength(1);
    await expectIdentical("store/source", "store/copy");
  });

  test.each(["raw", "qcow2"])(
    "into a full pool (%s): no space, and nothing is left",
    async (format) => {
      await makePool("small");
      await sh(`head -c 8M /dev/urandom >raw; qemu-img convert -O ${format} raw source; rm raw`);
      await virsh("pool-refresh", "store");
      const before = await contents();
      const input = { source_volume: "source", target_volume: "copy", target_pool: "small" };
      expectError(await post("clone", input), 500, "no_space", /space/);
      expect(await contents("small")).toEqual({ listed: 0, files: {} });
      expect(await contents()).toEqual(before);
    },
  );
});

/** Each endpoint that takes a pool, with good input, and its fields that are names. */
const ENDPOINTS: [string, Record<string, unknown>, string[]][] = [
  ["volumes", { pool: "store" }, ["pool"]],
  ["volume/info", { pool: "store", volume: "v" }, ["pool", "volume"]],
  ["volume/create", { pool: "store", name: "new", capacity: 1 }, ["pool", "name"]],
  [
    "volume/clone",
    { pool: "store", source_volume: "v", target_volume: "new" },
    ["pool", "source_volume", "target_volume", "target_pool"],
  ],
  ["volume/resize", { pool: "store", volume: "v", capacity: 1 }, ["pool", "volume"]],
  ["volume/delete", { pool: "store", volume: "v" }, ["pool", "volume"]],
  [
    "volume/upload",
    { pool: "store", volume: "new", source_path: "/var/lib/libvirt/images/v" },
    ["pool", "volume"],
  ],
  ["volume/wipe", { pool: "store", volume: "v" }, ["pool", "volume"]],
];

describe.each(ENDPOINTS)("%s: what is refused changes nothing", (path, good, names) => {
  const url = `/libvirt/${path}`;
  const isGet = path === "volumes" || path === "volume/info";
  const call = (input: object, init: RequestInit = {}): Promise<Answer> => {
    if (!isGet) return server.post(url, input, init);
    return server.get(`${url}?${new URLSearchParams(input as Record<string, string>)}`, init);
  };
  const isNew = (field: string) =>
    ["name", "target_volume"].includes(field) || (path === "volume/upload" && field === "volume");
  let before: unknown;
  beforeEach(async () => {
    await sh("head -c 1M /dev/urandom >v; cp v /var/lib/libvirt/images/v");
    await virsh("pool-refresh", "store");
    before = await contents();
  });
  afterEach(async () => {
    await virsh("pool-start", "store").catch(() => {});
    expect(await contents()).toEqual(before);
  });

  test("fields that are missing, unknown or of another kind", async () => {
    for (const field of Object.keys(good)) {
      const { [field]: _, ...rest } = good;
      if (path !== "volumes") {
        // which are those of the pool default without one
        const answer = await call(rest);
        expectError(answer, 400, "invalid_input", new RegExp(`^${field}: `));
        expect(answer.body.issues).toMatchObject([{ path: field }]);
      }
      if (!isGet) {
        expectError(
          await call({ ...good, [field]: {} }),
          400,
          "invalid_input",
          new RegExp(`^${field}: `),
        );
      }
    }
    expectError(
      await call({ ...good, unknown: "1" }),
      400,
      "invalid_input",
      /unknown key "unknown"/,
    );
  });

  test("names that are refused", async () => {
    const BAD = [
      "",
      "a/b",
      "../v",
      "..",
      ".",
      "-v",
      "--all",
      "a\nb",
      "a\tb",
      "a\0b",
      "x".repeat(256),
    ];
    for (const name of BAD) {
      for (const field of names) {
        if (field.includes("pool") && /^\.+$/.test(name)) continue; // a pool's name is no file's
        const answer = await call({ ...good, [field]: name });
        expectError(answer, 400, "invalid_input", new RegExp(`^${field}: must`));
      }
    }
    const made = names.find((field) => isNew(field));
    if (made === undefined) return;
    for (const name of ["line\u2028", "\u2029", "new\u0378"]) {
      const answer = await call({ ...good, [made]: name });
      expectError(
        answer,
        400,
        "invalid_input",
        new RegExp(`^${made}: must not contain line or par`),
      );
    }
  });

  test("no such pool, no such volume, a pool that is stopped", async () => {
    for (const field of names) {
      if (isNew(field)) continue;
      expectError(await call({ ...good, [field]: "it's gone" }), 404, "not_found", /it's gone/);
    }
    await virsh("pool-destroy", "store");
    expectError(await call(good), 500, "not_active", /'store' is not active/);
    if (path === "volume/clone") {
      const input = { ...good, pool: "default", target_pool: "store" };
      await virsh("pool-refresh", "default");
      expectError(await call(input), 500, "not_active", /'store' is not active/);
    }
  });

  test("another method, another content type, no JSON", async () => {
    const allow = isGet ? "GET, HEAD" : "POST";
    for (const method of ["GET", "POST", "PUT", "DELETE", "PATCH"]) {
      if (allow.includes(method)) continue;
      const response = await fetch(server.url + url, { method });
      const { status, headers } = response;
      expectError({ status, headers, body: await response.json() }, 405, "method_not_allowed", /./);
      expect(headers.get("Allow")).toBe(allow);
    }
    if (isGet) return;
    const plain = { headers: { "Content-Type": "text/plain" } };
    expectError(await call(good, plain), 415, "unsupported_media_type", /application\/json/);
    for (const body of ["", "{", "[]", "null", '"x"']) {
      expectError(await call(good, { body }), 400, "invalid_input", /./);
    }
  });
});

describe("names of pools and volumes that libvirt allows", () => {
  test.each([
    "two words",
    "three   spaces   in a row",
    "ends in spaces   ",
    "  begins with some",
    "it's",
    'say "hi"',
    "$HOME $(id) `id`",
    "a;b # c",
    "back\\slash \\x41 \\n \\",
    "ünï 漢字 🙂",
    "a&b <c> %20 + = ?",
    "* [a] {b} ~ ! | ^",
    "007",
    "x   x   x",
    "ü".repeat(110),
  ])("%j", async (name) => {
    const pool = name;
    const folder = join(ROOT, name);
    await makePool(name);
    const made = await post("create", { name, capacity: "1MiB", format: "raw" }, pool);
    expect(expectSuccess(made, 201)).toMatchObject({ pool, name, path: join(folder, name) });
    expect(readdirSync(folder)).toEqual([name]);
    await run("sh", [
      "-c",
      'printf marker | dd of="$1" conv=notrunc status=none',
      "sh",
      join(folder, name),
    ]);

    expect(expectSuccess(await info(name, pool))).toMatchObject({ pool, name });
    const listed = await server.get(`/libvirt/volumes?${new URLSearchParams({ pool })}`);
    expect(expectSuccess(listed)).toMatchObject({
      volumes: [{ name, path: join(folder, name) }],
      total: 1,
    });

    const copy = { source_volume: name, target_volume: `2${name}`, target_pool: pool };
    expectSuccess(await post("clone", copy, pool), 201);
    expect(readFileSync(join(folder, `2${name}`)).equals(readFileSync(join(folder, name)))).toBe(
      true,
    );
    expectSuccess(await post("resize", { volume: name, capacity: "2MiB" }, pool));
    expect(statSync(join(folder, name)).size).toBe(2 * MIB);
    const upload = { volume: `3${name}`, source_path: join(folder, name), format: "raw" };
    expectSuccess(await post("upload", upload, pool), 201);
    expect(readFileSync(join(folder, `3${name}`)).equals(readFileSync(join(folder, name)))).toBe(
      true,
    );
    expectSuccess(await post("wipe", { volume: name }, pool));
    expect(readFileSync(join(folder, name)).includes("marker")).toBe(false);
    const all = await server.get(`/libvirt/volumes?${new URLSearchParams({ pool })}`);
    const names = expectSuccess(all).volumes.map((one: { name: string }) => one.name);
    expect(names.sort()).toEqual([name, `2${name}`, `3${name}`].sort());
    for (const volume of names) expectSuccess(await post("delete", { volume }, pool));
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("names that virsh cannot print", () => {
  /** Separators, and a letter newer than Debian 12's C library. */
  const ODD = ["line\u2028.qcow2", "\u{10D50}", "ü\u2029   x"];

  test("listed, shown, and known as what stands on a volume", async () => {
    await sh("qemu-img create -f qcow2 base 1M");
    for (const name of ODD)
      await run("qemu-img", [
        "create",
        "-q",
        "-f",
        "qcow2",
        "-b",
        "base",
        "-F",
        "qcow2",
        join(STORE, name),
      ]);
    await virsh("pool-refresh", "store");
    const { volumes, total, unreadable } = expectSuccess(
      await server.get("/libvirt/volumes?pool=store"),
    );
    expect(volumes.map(({ name }: { name: string }) => name).sort()).toEqual(
      ["base", ...ODD].sort(),
    );
    expect([total, unreadable]).toEqual([4, []]);
    for (const name of ODD)
      expect(expectSuccess(await info(name))).toMatchObject({ name, path: join(STORE, name) });
    expectError(await post("delete", { volume: "base" }), 500, "in_use", /is the base of/);
    for (const volume of ODD) expectSuccess(await post("delete", { volume }));
    expectSuccess(await post("delete", { volume: "base" }));
    expect(readdirSync(STORE)).toEqual([]);
  });

  test("what is no UTF-8 is told apart, and hides nothing else", async () => {
    await sh("printf x >\"$(printf 'caf\\351.img')\"; printf xy >plain");
    await virsh("pool-refresh", "store");
    const listed = expectSuccess(await server.get("/libvirt/volumes?pool=store"));
    expect(listed).toMatchObject({
      volumes: [{ name: "plain", capacity_bytes: 2 }],
      total: 1,
      unreadable: ["caf\uFFFD.img"],
    });
    await sh("rm *");
  });
});
