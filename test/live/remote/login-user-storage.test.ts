/** What a login user who is not root can do with images: what libvirtd does for them, with the same result as root's. */
import { chmodSync, chownSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import {
  at,
  diskPaths,
  image,
  imageInfo,
  machine,
  names,
  STATE,
  same,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { type LoginUser, startLoginUser } from "../../lab/login-user.ts";
import type { TestServer } from "../../server.ts";

let user: LoginUser;
let server: TestServer;
beforeAll(async () => {
  user = await startLoginUser();
  server = await start(undefined, { LIBVIRT_DEFAULT_URI: user.uri() });
});
afterAll(async () => {
  await server.stop();
  await user.remove();
});
const HOME = "/var/lib/libvirt/operator";
beforeEach(() => {
  mkdirSync(HOME, { recursive: true });
});
afterEach(async () => {
  rmSync(HOME, { recursive: true });
  await wipe();
});

/** Images as libvirtd makes them: for root alone. */
async function base(...disks: string[]) {
  for (const path of disks) chmodSync(path, 0o600);
  await virsh("pool-refresh", "default");
  return machine("base", { disks });
}
const clone = (input: object) =>
  server.post("/libvirt/clone", { source: "base", target: "copy", ...input });
const notes = () => readdirSync(`${STATE}/hypersdk/work`);
const temporary = () => readdirSync("/var/tmp").filter((name) => name.startsWith("hypersdk-"));
const NEEDS_ROOT =
  /the login user of hypervisor local may not do: log in as root.*sudo = true in \[hosts\.local\]/;

/** What there is to see of an image. */
async function seen(path: string) {
  const {
    format,
    "virtual-size": size,
    "backing-filename": backing,
    ...info
  } = await imageInfo(path);
  const { uid, gid, mode } = statSync(path);
  return { format, size, backing, isSparse: info["actual-size"] < 6 * 2 ** 20, uid, gid, mode };
}
const OWNER = { uid: 0, gid: 0, mode: 0o100600 };

describe("copies that libvirtd makes", () => {
  test("of a raw disk, a qcow2 of an odd size, and an overlay", async () => {
    await image("a.raw");
    await sh(`qemu-img create -q -f qcow2 odd.qcow2 10486272; qemu-io -c 'write -P 7 1M 64k' odd.qcow2 >/dev/null
      qemu-img create -q -f qcow2 -F raw -b ${at("a.raw")} top.qcow2`);
    const disks = [at("a.raw"), at("odd.qcow2"), at("top.qcow2")];
    await base(...disks);
    expectSuccess(await clone({}), 201);
    const copies = await diskPaths("copy");
    for (const [i, format, size] of [
      [0, "raw", 64 * 2 ** 20],
      [1, "qcow2", 10486272],
      [2, "qcow2", 64 * 2 ** 20],
    ] as const) {
      const copy = `${copies[i]}`;
      expect(await seen(copy)).toEqual({
        format,
        size,
        backing: undefined,
        isSparse: true,
        ...OWNER,
      });
      expect(await same(copy, `${disks[i]}`)).toBe(true);
    }
    expectSuccess(await clone({ target: "over", linked: true }), 201);
    const [, odd = ""] = await diskPaths("over");
    expect(await seen(odd)).toMatchObject({ size: 10486272, backing: disks[1], ...OWNER });
    const gold = { domain: "base", name: "gold" };
    expectSuccess(await server.post("/libvirt/template/create", gold), 201);
    const web = { template: "gold", name: "web", autostart: true };
    expectSuccess(await server.post("/libvirt/template/deploy", web), 201);
    const many = { source: "base", name_prefix: "n", count: 2 };
    expect((await server.post("/libvirt/clone/multiple", many)).body).toMatchObject({ failed: 0 });
    expect([notes(), temporary()]).toEqual([[], []]);
  });

  test("of a linked guest with a seed, which libvirtd writes", async () => {
    await base(await image("base.qcow2"));
    const user_data = "#!/bin/sh\necho hello\n";
    const input = { template: "base", name_prefix: "n", count: 2, linked: true };
    const answer = await server.post("/libvirt/template/deploy", {
      ...input,
      cloud_init: { user_data },
    });
    expect(expectSuccess(answer, 201)).toMatchObject({ successful: 2 });
    for (const name of ["n-1-seed.iso", "n-2-seed.iso"]) {
      const { uid, gid, mode } = statSync(at(name));
      expect({ uid, gid, mode }).toEqual(OWNER);
      expect(await sh(`isoinfo -R -i ${at(name)} -x /user-data`)).toBe(user_data);
    }
    expect([notes(), temporary()]).toEqual([[], []]);
  });

  test("what only root could copy is refused before anything is made", async () => {
    await sh(
      `head -c 64K /dev/urandom >r.raw; qemu-img create -q -f qcow2 r.tmp 1M; dd if=r.tmp of=r.raw conv=notrunc 2>/dev/null; rm r.tmp`,
    );
    mkdirSync(at("sub"), { mode: 0o700 });
    await sh("qemu-img create -q -f qcow2 sub/d.qcow2 1M");
    for (const path of [at("r.raw"), at("sub/d.qcow2")]) {
      await base(path);
      const before = readdirSync(at(""), { recursive: true });
      expectError(await clone({ files: [at("x.img")] }), 500, "permission_denied", NEEDS_ROOT);
      expect(readdirSync(at(""), { recursive: true })).toEqual(before);
      expect([await names(), notes()]).toEqual([["base"], []]);
      await virsh("undefine", "base");
    }
    rmSync(at("sub"), { recursive: true });
    await image("p.qcow2");
    await base(at("p.qcow2"));
    await virsh("start", "base");
    await virsh("suspend", "base");
    expectError(await clone({}), 500, "permission_denied", NEEDS_ROOT);
    expect(await names()).toEqual(["base"]);
  });

  test("what writes to the new disks is refused before anything is made", async () => {
    await base(await image("base.qcow2"));
    const calls = [
      ["create", { domain: "base", name: "t", seal: true }],
      ["deploy", { template: "base", name: "t", customize: { hostname: "x" } }],
      ["deploy", { template: "base", name: "t", customize: { hostname: "x" }, linked: true }],
    ] as const;
    for (const [verb, input] of calls) {
      const answer = await server.post(`/libvirt/template/${verb}`, input);
      expectError(answer, 500, "permission_denied", NEEDS_ROOT);
      expect(answer.body.error).toMatch(verb === "create" ? /^seal: / : /^customize: /);
    }
    expect(readdirSync(at(""))).toEqual(["base.qcow2"]);
  });

  test("firmware variables that cannot be looked at: refused, and not left out", async () => {
    const nvram = "/var/lib/libvirt/qemu/nvram/base_VARS.fd";
    mkdirSync("/var/lib/libvirt/qemu/nvram", { recursive: true });
    await sh(`cp /usr/share/OVMF/OVMF_VARS_4M.fd ${nvram}`);
    const os = xml`<os><type arch="x86_64" machine="q35">hvm</type>
      <loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader><nvram>${nvram}</nvram></os>`;
    await machine("base", { disks: [await image("base.qcow2")], os });
    for (const linked of [false, true])
      expectError(await clone({ linked }), 500, "permission_denied", NEEDS_ROOT);
    const exported = { template: "base", export_path: HOME };
    const answer = await server.post("/libvirt/template/export", exported);
    expectError(answer, 500, "permission_denied", NEEDS_ROOT);
    expect(readdirSync(at(""))).toEqual(["base.qcow2"]);
  });
});

describe("files of the user's own", () => {
  test("a disk in the user's folder is copied there, and into a pool", async () => {
    chownSync(HOME, user.uid, user.gid);
    const path = `${HOME}/base.qcow2`;
    await image("x.qcow2");
    await sh(`mv x.qcow2 ${path}; chmod 640 ${path}`);
    chownSync(path, user.uid, user.gid);
    await machine("base", { disks: [path] });
    expectSuccess(await clone({}), 201);
    const own = { uid: user.uid, gid: user.gid, mode: 0o100640 };
    expect(await seen(`${HOME}/copy.qcow2`)).toMatchObject({ format: "qcow2", ...own });
    expectSuccess(await clone({ target: "pooled", files: [at("p.qcow2")] }), 201);
    expect(await seen(at("p.qcow2"))).toMatchObject({ format: "qcow2", isSparse: true, ...OWNER });
    for (const copy of [`${HOME}/copy.qcow2`, at("p.qcow2")])
      expect(await same(copy, path)).toBe(true);
    expect(temporary()).toEqual([]);
  });

  test.for([
    ["disk.raw", "raw"],
    ["disk.raw", "qcow2"],
    ["disk.qcow2", "qcow2"],
    ["disk.qcow2", "vmdk"],
  ] as const)("upload %s as %s", async ([name, format]) => {
    await image(name);
    await sh(`mv ${name} ${HOME}; chmod 644 ${HOME}/${name}`);
    const input = { pool: "default", volume: "v", source_path: `${HOME}/${name}`, format };
    const data = expectSuccess(await server.post("/libvirt/volume/upload", input), 201);
    expect(data).toMatchObject({ format, capacity_bytes: 64 * 2 ** 20 });
    expect(await seen(at("v"))).toMatchObject({
      format,
      size: 64 * 2 ** 20,
      isSparse: true,
      ...OWNER,
    });
    expect(await same(at("v"), `${HOME}/${name}`)).toBe(true);
    expect([notes(), temporary()]).toEqual([[], []]);
  });
});

describe("export", () => {
  test.for([false, true])("compress: %s", async (compress) => {
    chownSync(HOME, user.uid, user.gid);
    await image("a.raw");
    await image("b.qcow2");
    await sh(`qemu-img create -q -f qcow2 -F raw -b ${at("a.raw")} top.qcow2`);
    const disks = [at("a.raw"), at("b.qcow2"), at("top.qcow2")];
    await base(...disks);
    const input = { template: "base", export_path: `${HOME}/out`, compress };
    const { path, files } = expectSuccess(await server.post("/libvirt/template/export", input));
    for (const [i, disk] of disks.entries()) {
      const file = `${path}/${files[i].name}`;
      const format = compress || i > 0 ? "qcow2" : "raw";
      expect(await seen(file)).toMatchObject({
        format,
        backing: undefined,
        isSparse: true,
        uid: user.uid,
      });
      expect(await same(file, disk)).toBe(true);
    }
    expect(readdirSync(path).length).toBe(files.length + 1);
    expect((await virsh("vol-list", "default")).includes("hypersdk-")).toBe(false);
    expect(notes()).toEqual([]);
  });

  test("into a folder that is not the user's: refused before it is begun", async () => {
    await base(await image("a.qcow2"));
    const input = { template: "base", export_path: `${HOME}/out` };
    const answer = await server.post("/libvirt/template/export", input);
    expectError(answer, 500, "permission_denied", NEEDS_ROOT);
    expect(readdirSync(HOME)).toEqual([]);
  });
});

test.each(["zero", "trim"])("wipe: %s", async (algorithm) => {
  await image("v.qcow2", "10486272");
  chownSync(at("v.qcow2"), 64055, 108);
  chmodSync(at("v.qcow2"), 0o600);
  await virsh("pool-refresh", "default");
  const input = { pool: "default", volume: "v.qcow2", algorithm };
  const data = expectSuccess(await server.post("/libvirt/volume/wipe", input));
  expect(data.recreated).toBe(true);
  const owner = { uid: 64055, gid: 108, mode: 0o100600 };
  expect(await seen(at("v.qcow2"))).toMatchObject({ format: "qcow2", size: 10486272, ...owner });
  expect(await sh("qemu-img map --output=json v.qcow2")).toContain('"zero": true');
});

describe("batch/delete of files that no pool has", () => {
  const remove = async () => {
    const input = { domains: ["base"], remove_storage: true };
    return (await server.post("/libvirt/batch/delete", input)).body.results;
  };
  test("in root's folder: kept, with the reason", async () => {
    const path = `${HOME}/a.raw`;
    await sh(`truncate -s 8M ${path}`);
    await base(path);
    const reason = expect.stringMatching(
      /^it is in no active pool, and the login user .*permission denied/,
    );
    expect(await remove()).toEqual([
      { domain: "base", success: true, removed: [], kept: [{ path, reason }] },
    ]);
    expect(statSync(path).size).toBe(8 * 2 ** 20);
  });

  test("in the user's own folder: gone, but not beside root's image that may stand on it", async () => {
    chownSync(HOME, user.uid, user.gid);
    const [path, other] = [`${HOME}/a.raw`, `${HOME}/b.qcow2`];
    await sh(`truncate -s 8M ${path}; qemu-img create -q -f qcow2 -b ${path} -F raw ${other}`);
    chmodSync(other, 0o600);
    await base(path);
    const reason = `it may be the base of ${other}, which cannot be read`;
    expect(await remove()).toMatchObject([{ success: true, kept: [{ path, reason }] }]);
    rmSync(other);
    await base(path);
    expect(await remove()).toMatchObject([{ success: true, removed: [path], kept: [] }]);
    expect(readdirSync(HOME)).toEqual([]);
  });
});

describe("a domain made from nothing", () => {
  const create = (input: object) =>
    server.post("/libvirt/domain/create", { name: "new", networks: [], ...input });

  test("with a new disk, a copy of an image for root alone, and an overlay on it", async () => {
    chmodSync(await image("img.qcow2"), 0o600);
    const disks = [
      { size: "64MiB" },
      { image: "img.qcow2", size: "100MiB" },
      { image: "img.qcow2", linked: true },
    ];
    expectSuccess(await create({ disks, firmware: "uefi", start: true }), 201);
    await virsh("destroy", "new");
    const [empty, copy = "", overlay = ""] = await diskPaths("new");
    expect(await seen(`${empty}`)).toMatchObject({ format: "qcow2", size: 64 * 2 ** 20, ...OWNER });
    expect(await seen(copy)).toMatchObject({ format: "qcow2", size: 100 * 2 ** 20, ...OWNER });
    expect(await same(copy, at("img.qcow2"))).toBe(true);
    expect(await seen(overlay)).toMatchObject({ backing: at("img.qcow2"), ...OWNER });
    expect([notes(), temporary()]).toEqual([[], []]);
  });

  test("what only root could look at is refused", async () => {
    const file = `${HOME}/root.qcow2`;
    await sh(`qemu-img create -q -f qcow2 ${file} 1M; chmod 600 ${file}`);
    const answer = await create({ disks: [{ size: 1 }, { path: file }] });
    expectError(answer, 500, "permission_denied", NEEDS_ROOT);
    expect(answer.body.error).toMatch(/^disks\[1\]\.path: /);
    expect([await names(), readdirSync(at(""))]).toEqual([[], []]);
  });
});
