/** batch/delete with storage of disks that no pool has: what goes, and what stays and why. */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { afterEach, beforeEach, describe, expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, disk, machine, names, sh, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { expectSuccess } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

/** In an allowed folder, and in no pool. */
const VMS = "/var/lib/libvirt/vms";
/** In no allowed folder. */
const OPT = "/opt/vms-deleted";
const FOLDERS = [VMS, OPT, "/var/lib/libvirt/data"];
beforeEach(() => {
  for (const folder of FOLDERS) mkdirSync(folder, { recursive: true });
});
afterEach(() => {
  for (const folder of FOLDERS) rmSync(folder, { recursive: true, force: true });
});

async function file(path: string, ...options: string[]) {
  const format = path.endsWith(".qcow2") ? "qcow2" : "raw";
  await sh(`qemu-img create -q -f ${format} ${options.join(" ")} '${path}' 8M`);
  return path;
}
const over = (path: string, base: string, format = "qcow2") => file(path, "-b", base, "-F", format);

async function remove(...domains: string[]) {
  const input = { domains, remove_storage: true };
  const { body } = await server.post("/libvirt/batch/delete", input);
  expect(body, JSON.stringify(body)).toMatchObject({ successful: domains.length });
  const kept = body.results.flatMap((one: { kept: { path: string; reason: string }[] }) =>
    one.kept.map(({ path, reason }) => [path, reason]),
  );
  return {
    removed: body.results.flatMap((one: { removed: string[] }) => one.removed).sort(),
    kept: Object.fromEntries(kept),
  };
}
const NO_POOL = "it is in no active pool";
const clone = async (input: object) =>
  expectSuccess(await server.post("/libvirt/clone", { source: "base", ...input }), 201);

describe("clones outside pools", () => {
  test("a full one and a linked one go, the base stays, and goes when it is asked for", async () => {
    const [a, b] = [await file(`${VMS}/base.qcow2`), await file(`${VMS}/data.img`)];
    await machine("base", { disks: [a, b] });
    await clone({ target: "copy" });
    await clone({ target: "over", linked: true });
    await virsh("start", "--domain", "over");
    const bytes = [a, b].map((path) => Bun.hash(readFileSync(path)));
    expect(readdirSync(VMS).length).toBe(6);
    const { removed, kept } = await remove("copy", "over");
    expect(removed).toEqual(
      ["copy-vdb.img", "copy.qcow2", "over-vdb.qcow2", "over.qcow2"].map(
        (name) => `${VMS}/${name}`,
      ),
    );
    expect(kept).toEqual({
      [a]: expect.stringMatching(/^it is below/),
      [b]: expect.stringMatching(/^it is below/),
    });
    expect(await names()).toEqual(["base"]);
    expect(readdirSync(VMS).sort()).toEqual(["base.qcow2", "data.img"]);
    expect([a, b].map((path) => Bun.hash(readFileSync(path)))).toEqual(bytes);
    expect(await remove("base")).toEqual({ removed: [a, b], kept: {} });
    expect(readdirSync(VMS)).toEqual([]);
  });

  test.for([false, true])("a base of a linked clone that runs (%s) stays", async (runs) => {
    const base = await file(`${VMS}/base.qcow2`);
    await machine("base", { disks: [base] });
    await clone({ target: "over", linked: true });
    if (runs) await virsh("start", "--domain", "over");
    expect(await remove("base")).toEqual({
      removed: [],
      kept: { [base]: "domain over uses it" },
    });
    await sh(`qemu-img check -U -q ${VMS}/over.qcow2`);
    expect(await names()).toEqual(["over"]);
  });
});

test("a sub-folder of a pool, a link, and a pool's folder by its other name", async () => {
  mkdirSync(at("vm1"));
  const inside = await file(at("vm1/a b.qcow2"));
  const linked = await file(`${VMS}/real.qcow2`);
  symlinkSync(linked, `${VMS}/link.qcow2`);
  symlinkSync("/var/lib/libvirt/data", `${VMS}/pool`);
  await virsh("pool-create-as", "linked", "dir", "--target", `${VMS}/pool`);
  try {
    const other = await file("/var/lib/libvirt/data/c.img");
    await machine("vm", { disks: [inside, `${VMS}/link.qcow2`, other] });
    const { removed, kept } = await remove("vm");
    expect([removed, kept]).toEqual([[inside, linked, `${VMS}/pool/c.img`].sort(), {}]);
    expect([inside, linked, other].map(existsSync)).toEqual([false, false, false]);
    expect(lstatSync(`${VMS}/link.qcow2`).isSymbolicLink()).toBe(true);
  } finally {
    await virsh("pool-destroy", "linked");
  }
});

describe("what stays", () => {
  test("a device, a file of no allowed folder, also through a link, a shared one, a CD-ROM", async () => {
    const out = await file(`${OPT}/a.img`);
    const behind = await file(`${OPT}/b.img`);
    symlinkSync(behind, `${VMS}/b.img`);
    symlinkSync(OPT, `${VMS}/folder`);
    await file(`${OPT}/c.img`);
    await sh(`mknod ${VMS}/device.img b 7 250`);
    const [shared, iso] = [await file(`${VMS}/shared.img`), await file(`${VMS}/cd.iso`)];
    const special = (path: string, device: string, target: string, more = xml``) =>
      xml`<disk type="file" device="${device}"><driver name="qemu" type="raw"/><source file="${path}"/><target dev="${target}"/>${more}</disk>`;
    const plain = [out, `${VMS}/b.img`, `${VMS}/folder/c.img`, `${VMS}/device.img`];
    await machine("vm", {
      disks: [
        ...plain,
        special(shared, "disk", "vdf", xml`<shareable/>`),
        special(iso, "cdrom", "hdd"),
      ],
    });
    const { removed, kept } = await remove("vm");
    expect(removed).toEqual([]);
    expect(kept).toEqual({
      ...Object.fromEntries(plain.map((path) => [path, NO_POOL])),
      [shared]: expect.stringMatching(/shared/),
      [iso]: expect.stringMatching(/CD-ROM/),
    });
    expect([...plain, shared, iso].map(existsSync)).toEqual(
      plain.map(() => true).concat(true, true),
    );
  });

  test("what another domain has, running, off or from its next start, by any name", async () => {
    const paths = ["a", "b", "c"].map((name) => `${VMS}/${name}.img`);
    for (const path of paths) await file(path);
    const [a = "", b = "", c = ""] = paths;
    symlinkSync(VMS, "/var/lib/libvirt/data/vms");
    const other = (path: string) => path.replace(VMS, "/var/lib/libvirt/data/vms");
    await machine("off", { disks: [other(a)] });
    await machine("on", { disks: [disk(other(b))] });
    await virsh("start", "--domain", "on");
    const attach = ["--domain", "on", "--source", other(c), "--target", "vdb", "--config"];
    await virsh("attach-disk", ...attach);
    await machine("vm", { disks: paths });
    expect(await remove("vm")).toEqual({
      removed: [],
      kept: { [a]: "domain off uses it", [b]: "domain on uses it", [c]: "domain on uses it" },
    });
    expect(paths.map(existsSync)).toEqual([true, true, true]);
  });

  test("what an overlay of no domain stands on, in a pool however deep, beside it, read-only", async () => {
    const paths = ["deep", "beside", "shared"].map((name) => `${VMS}/${name}.img`);
    for (const path of paths) await file(path);
    const [deep = "", beside = "", shared = ""] = paths;
    await over(`${OPT}/middle.qcow2`, deep, "raw");
    await over(at("top.qcow2"), `${OPT}/middle.qcow2`);
    await over(`${VMS}/snap.qcow2`, "beside.img", "raw");
    const view = await over(`${OPT}/view.qcow2`, shared, "raw");
    const readonly = xml`<disk type="file" device="disk"><driver name="qemu" type="qcow2"/><source file="${view}"/><target dev="vda"/><readonly/></disk>`;
    await machine("viewer", { disks: [readonly] });
    await virsh("pool-refresh", "default");
    await machine("vm", { disks: paths });
    expect(await remove("vm")).toEqual({
      removed: [],
      kept: {
        [deep]: `it is the base of ${at("top.qcow2")}`,
        [beside]: `it is the base of ${VMS}/snap.qcow2`,
        [shared]: `it is the base of ${view}`,
      },
    });
    expect(paths.map(existsSync)).toEqual([true, true, true]);
  });

  test.for([false, true])(
    "the data of another's image (running: %s); its own is named",
    async (runs) => {
      const data = `${VMS}/d.img`;
      const image = await file(`${VMS}/i.qcow2`, "-o", `data_file=${data},data_file_raw=on`);
      await machine("owner", { disks: [image] });
      if (runs) await virsh("start", "--domain", "owner");
      await machine("vm", { disks: [data] });
      expect(await remove("vm")).toEqual({
        removed: [],
        kept: { [data]: `it holds the data of ${image}` },
      });
      expect(await remove("owner")).toEqual({
        removed: [image],
        kept: { [data]: `it held the data of ${image}` },
      });
      expect(existsSync(data)).toBe(true);
    },
  );

  test("what an image that cannot be read may stand on", async () => {
    const path = await file(`${VMS}/a.img`);
    await sh(`echo 'no qcow2' >${OPT}/broken.qcow2`);
    await machine("broken", { disks: [`${OPT}/broken.qcow2`] });
    await machine("vm", { disks: [path] });
    const { removed, kept } = await remove("vm");
    expect(removed).toEqual([]);
    expect(kept[path]).toMatch(
      /^it may be the base of .*broken\.qcow2 of domain broken, which cannot/,
    );
    expect(existsSync(path)).toBe(true);
  });
});

test("external snapshots: the overlays and the original go, the base of all stays", async () => {
  const base = await file(`${VMS}/gold.qcow2`);
  const own = await over(`${VMS}/own.qcow2`, base);
  await machine("vm", { disks: [own] });
  for (const name of ["s1", "s2"])
    await virsh("snapshot-create-as", "--domain", "vm", "--name", name, "--disk-only");
  const { removed, kept } = await remove("vm");
  expect(removed).toEqual([own, `${VMS}/own.s1`, `${VMS}/own.s2`]);
  expect(kept).toEqual({ [base]: expect.stringMatching(/^it is below/) });
  expect(readdirSync(VMS)).toEqual(["gold.qcow2"]);
});

test("a base goes in a later call than its overlay, whoever's they are", async () => {
  const base = await file(`${VMS}/base.img`);
  const child = await over(`${VMS}/child.qcow2`, base, "raw");
  await machine("base", { disks: [base] });
  await machine("child", { disks: [child] });
  expect((await remove("child")).removed).toEqual([child]);
  expect(await remove("base")).toEqual({ removed: [base], kept: {} });
});
