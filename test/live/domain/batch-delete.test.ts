/** POST /libvirt/batch/delete: what goes, what stays and why, as virsh and the files tell. */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect } from "vitest";
import { type Xml, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { NAMES_JOBS } from "../../fixtures/live/release.ts";
import { defineDomain, virsh } from "../../fixtures/live/virsh.ts";

const run = promisify(execFile);
const IMAGES = "/var/lib/libvirt/images";
const OTHER = "/var/lib/libvirt/it's other";
/** In no pool and no allowed folder. */
const LOOSE = "/opt/loose";
const SAVE = "/var/lib/libvirt/qemu/save";

const { test, server } = labTest();

const words = (text: string) => text.split("\n").filter(Boolean);
const domains = async () => words(await virsh("list", "--all", "--name")).sort();
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();

/** The result of each, after the answer's own numbers are checked. */
async function remove(names: string[], options = {}) {
  const { status, body } = await server.post("/libvirt/batch/delete", {
    domains: names,
    ...options,
  });
  expect(status, JSON.stringify(body)).toBe(200);
  expect(body).toMatchObject({ operation: "delete", total: names.length });
  expect(body.results.map(({ domain }: { domain: string }) => domain)).toEqual(names);
  const successes = body.results.filter(({ success }: { success: boolean }) => success);
  expect([body.successful, body.failed]).toEqual([
    successes.length,
    names.length - successes.length,
  ]);
  return body.results;
}
const withStorage = (...names: string[]) => remove(names, { remove_storage: true });

async function image(path: string, ...options: string[]) {
  await run("qemu-img", ["create", "-q", "-f", "qcow2", ...options, path, "8M"]);
  return path;
}

let target = 0;
/** A disk of its own target; `more` is its element's rest. */
const disk = (source: Xml, more = xml``, device = "disk") => {
  const name =
    device === "cdrom" ? "hdd" : device === "floppy" ? "fda" : `vd${"abcdefghij"[target++ % 10]}`;
  return xml`<disk type="${source.text.includes("pool=") ? "volume" : "file"}" device="${device}">
    <driver name="qemu" type="${source.text.includes(".raw") ? "raw" : "qcow2"}"/>${source}<target dev="${name}"/>${more}</disk>`;
};
const file = (path: string) => xml`<source file="${path}"/>`;

/** Nothing boots on it. */
async function machine(name: string, disks: Xml[] = [], { verb = "define", os = xml`` } = {}) {
  const definition = xml`<domain type="qemu"><name>${name}</name><memory unit="MiB">16</memory><vcpu>1</vcpu>
  <os><type arch="x86_64" machine="pc">hvm</type>${os}</os><features><acpi/></features>
  <devices>${disks}<memballoon model="none"/></devices></domain>`;
  writeFileSync("/run/definition.xml", `${definition}`);
  await virsh(verb, "--file", "/run/definition.xml");
}

beforeAll(async () => {
  mkdirSync(OTHER);
  await virsh("pool-define-as", "--name", "it's other", "--type", "dir", "--target", OTHER);
  await virsh("pool-start", "--pool", "it's other");
});
afterEach(async () => {
  for (const id of words(await virsh("list", "--uuid"))) await virsh("destroy", "--domain", id);
  const flags = ["--nvram", "--managed-save", "--snapshots-metadata", "--checkpoints-metadata"];
  for (const id of words(await virsh("list", "--all", "--uuid")))
    await virsh("undefine", "--domain", id, ...flags);
  await run("find", [IMAGES, OTHER, "-mindepth", "1", "-delete"]);
});
afterAll(async () => {
  await virsh("pool-destroy", "--pool", "it's other");
  await virsh("pool-undefine", "--pool", "it's other");
  rmSync(OTHER, { recursive: true });
});

describe("the domain", () => {
  test("of any state goes, also one with a name that is another's ID; its disk stays", async () => {
    const path = await image(`${IMAGES}/a b.qcow2`);
    await machine("off 'x'", [disk(file(path))]);
    for (const name of ["running", 'paused "x"', "saved"]) {
      await machine(name, [disk(file(await image(`${IMAGES}/${name}.qcow2`)))]);
      await virsh("start", "--domain", name);
    }
    await virsh("suspend", "--domain", 'paused "x"');
    await virsh("managedsave", "--domain", "saved");
    expect(existsSync(`${SAVE}/saved.save`)).toBe(true);
    const transient = await defineDomain("transient", { verb: "create" });
    const id = (await virsh("domid", "--domain", transient)).trim();
    const other = await defineDomain("other", { verb: "create" });
    const number = (await virsh("domid", "--domain", other)).trim();
    await defineDomain(number);
    expect(Number(number)).toBeGreaterThan(Number(id));

    const names = ["off 'x'", "missing", "running", 'paused "x"', number, "saved", "transient"];
    const results = await remove(names);
    expect(results.map(({ success }: { success: boolean }) => success)).toEqual(
      names.map((name) => name !== "missing"),
    );
    expect(results[1]).toMatchObject({
      code: "not_found",
      error: expect.stringMatching(/missing/),
    });
    expect(results[0]).toEqual({ domain: "off 'x'", success: true });
    expect(await domains()).toEqual(["other"]);
    expect(existsSync(path)).toBe(true);
    expect(existsSync(`${SAVE}/saved.save`)).toBe(false);
  });

  test("with snapshots, a checkpoint and NVRAM", async () => {
    const path = await image(`${IMAGES}/own.qcow2`);
    const nvram = "/var/lib/libvirt/qemu/nvram.fd";
    const os = xml`<loader readonly="yes" type="pflash">/usr/share/seabios/bios.bin</loader><nvram>${nvram}</nvram>`;
    await machine("uefi", [], { os });
    writeFileSync(nvram, "variables");
    await machine("one", [disk(file(path))]);
    for (const name of ["s 1", "s '2'"])
      await virsh("snapshot-create-as", "--domain", "one", "--name", name);
    await machine("two", [disk(file(await image(`${IMAGES}/two.qcow2`)))]);
    await virsh("start", "--domain", "two");
    await virsh("checkpoint-create-as", "--domain", "two", "--name", "c1");
    const results = await withStorage("uefi", "one", "two");
    expect(results).toEqual([
      { domain: "uefi", success: true, removed: [], kept: [] },
      { domain: "one", success: true, removed: [path], kept: [] },
      { domain: "two", success: true, removed: [`${IMAGES}/two.qcow2`], kept: [] },
    ]);
    expect(await domains()).toEqual([]);
    expect([nvram, path, `${IMAGES}/two.qcow2`].map(existsSync)).toEqual([false, false, false]);
    await machine("one", [disk(file(path))]); // nothing of the old one comes back
    expect(await virsh("snapshot-list", "--domain", "one", "--name")).toBe("");
  });
});

describe("remove_storage", () => {
  test("the domain's own volumes go, everything else stays and is named with a reason", async () => {
    const own = await image(`${IMAGES}/own 'disk'.qcow2`);
    const volume = await image(`${OTHER}/a volume.qcow2`);
    const linked = await image(`${IMAGES}/linked.qcow2`);
    symlinkSync(linked, "/var/lib/libvirt/link");
    const shareable = await image(`${IMAGES}/shareable.raw`);
    const readonly = await image(`${IMAGES}/readonly.qcow2`);
    const used = await image(`${IMAGES}/used.qcow2`);
    const next = await image(`${IMAGES}/next.qcow2`);
    const cdrom = await image(`${IMAGES}/cd.iso`);
    await image(LOOSE);
    await machine("user's", [disk(file(used))]);
    await machine("later", []);
    await virsh("start", "--domain", "later", "--paused");
    const attach = ["--domain", "later", "--source", next, "--target", "vdb", "--config"];
    await virsh("attach-disk", ...attach, "--subdriver", "qcow2");
    const name = "victim 'x'";
    await machine(name, [
      disk(file(own)),
      disk(xml`<source pool="it's other" volume="a volume.qcow2"/>`),
      disk(file("/var/lib/libvirt/link")),
      disk(file(shareable), xml`<shareable/>`),
      disk(file(readonly), xml`<readonly/>`),
      disk(file(used)),
      disk(file(next)),
      disk(file(LOOSE)),
      disk(file(cdrom), xml``, "cdrom"),
      disk(xml``, xml``, "floppy"),
    ]);
    const bytes = () =>
      [shareable, readonly, used, next, cdrom, LOOSE].map((one) => readFileSync(one, "latin1"));
    const before = bytes();

    const [result] = await withStorage(name);
    expect(result, JSON.stringify(result)).toMatchObject({ domain: name, success: true });
    expect(result.removed.sort()).toEqual([own, volume, linked].sort());
    const reasons = Object.fromEntries(
      result.kept.map(({ path, reason }: { path: string; reason: string }) => [path, reason]),
    );
    expect(reasons).toEqual({
      [shareable]: expect.stringMatching(/shared/),
      [readonly]: expect.stringMatching(/read-only/),
      [used]: "domain user's uses it",
      [next]: "domain later uses it",
      [cdrom]: expect.stringMatching(/CD-ROM/),
      [LOOSE]: expect.stringMatching(/no active pool/),
    });
    expect([own, volume, linked].map(existsSync)).toEqual([false, false, false]);
    expect(bytes()).toEqual(before);
    expect(await domains()).toEqual(["later", "user's"]);
    rmSync("/var/lib/libvirt/link");
    rmSync(LOOSE);
  });

  test("two of a batch that share a disk: never while one of them is left", async () => {
    const shared = await image(`${IMAGES}/shared.qcow2`);
    const own = await image(`${IMAGES}/own.qcow2`);
    await machine("a", [disk(file(shared)), disk(file(own))]);
    await machine("b", [disk(file(shared))]);
    const results = await withStorage("a", "b");
    expect(await domains()).toEqual([]);
    expect(existsSync(own)).toBe(false);
    const removed = results.flatMap((one: { removed: string[] }) => one.removed);
    const kept = results.flatMap((one: { kept: { path: string }[] }) => one.kept);
    // whether the last one takes it with it or both leave it, the answer is true
    expect(removed.includes(shared)).toBe(!existsSync(shared));
    expect(removed.filter((path: string) => path === shared).length + kept.length).toBe(2);
    for (const { reason } of kept) expect(reason).toMatch(/^domain [ab] uses it$/);
  });

  test("a disk-only snapshot: the overlays and the original image go, the base of both stays", async () => {
    const base = await image(`${IMAGES}/base.qcow2`);
    for (const name of ["on", "off"]) {
      const own = await image(`${IMAGES}/${name}.qcow2`, "-b", base, "-F", "qcow2");
      await machine(name, [disk(file(own))]);
      if (name === "on") await virsh("start", "--domain", name);
      await virsh("snapshot-create-as", "--domain", name, "--name", "s1", "--disk-only");
    }
    const results = await withStorage("on", "off");
    for (const [i, name] of ["on", "off"].entries()) {
      expect(results[i], JSON.stringify(results[i])).toMatchObject({
        success: true,
        kept: [{ path: base, reason: expect.stringMatching(/below/) }],
      });
      const own = [`${IMAGES}/${name}.qcow2`, `${IMAGES}/${name}.s1`];
      expect(results[i].removed.sort()).toEqual(own);
      expect(own.map(existsSync)).toEqual([false, false]);
    }
    expect(await domains()).toEqual([]);
    expect(existsSync(base)).toBe(true);
  });

  test("by UUID in place of the name: all of it or nothing", async () => {
    const path = await image(`${IMAGES}/own.qcow2`);
    await machine("vm", [disk(file(path))]);
    const [result] = await withStorage((await virsh("domuuid", "--domain", "vm")).trim());
    expect([await domains(), existsSync(path)]).toEqual(
      result.success ? [[], false] : [["vm"], true],
    );
  });

  test("an image whose data is in another file goes with it, and says what stays", async () => {
    const data = (name: string) => ["-o", `data_file=${IMAGES}/${name},data_file_raw=on`];
    const own = await image(`${IMAGES}/own.qcow2`, ...data("own.data"));
    const shared = await image(`${IMAGES}/shared.qcow2`, ...data("shared.data"));
    await run("cp", [shared, `${IMAGES}/copy.qcow2`]); // with the same data file
    await virsh("pool-refresh", "default");
    await machine("vm", [disk(file(own)), disk(file(shared))]);
    const info = await server.get("/libvirt/volume/info?pool=default&volume=own.qcow2");
    expect(info.body.data).toMatchObject({ data_file: `${IMAGES}/own.data` });
    const refused = await server.post("/libvirt/volume/delete", {
      ...{ pool: "default", volume: "own.data", force: true },
    });
    expect(refused.body).toMatchObject({ code: "in_use", children: [own] });
    const [result] = await withStorage("vm");
    expect(result, JSON.stringify(result)).toMatchObject({
      success: true,
      kept: [
        {
          path: `${IMAGES}/shared.data`,
          reason: `it held the data of ${shared}, and ${IMAGES}/copy.qcow2 uses it`,
        },
      ],
    });
    expect(result.removed.sort()).toEqual([`${IMAGES}/own.data`, own, shared]);
    const { body } = await server.post("/libvirt/volume/delete", {
      ...{ pool: "default", volume: "copy.qcow2" },
    });
    expect(body.data.data_file).toEqual({ path: `${IMAGES}/shared.data`, removed: true });
    expect(existsSync(`${IMAGES}/shared.data`)).toBe(false);
  });

  test("a base whose overlay its pool has not seen yet: refused as it is, and gone after its last child", async () => {
    const base = await image(`${IMAGES}/base.qcow2`);
    const other = await image(`${IMAGES}/other.qcow2`);
    const child = await image(`${OTHER}/child.qcow2`, "-b", base, "-F", "qcow2");
    await machine("base", [disk(file(base)), disk(file(other))]);
    await virsh("start", "--domain", "base", "--paused");
    await machine("child", [disk(file(child))]);
    const refused = {
      success: false,
      code: "in_use",
      error: `domain base is the base of ${child}, which must go first`,
    };
    expect(await withStorage("base")).toMatchObject([refused]);
    expect([await state("base"), ...[base, other].map(existsSync)]).toEqual(["paused", true, true]);
    // of the same call the child goes first, wherever it is named
    const [last, first] = await withStorage("base", "child");
    expect(first).toMatchObject({ success: true, removed: [child] });
    expect(last).toMatchObject({ success: true, kept: [] });
    expect(last.removed.sort()).toEqual([base, other]);
    expect([await domains(), ...[base, other, child].map(existsSync)]).toEqual([
      [],
      false,
      false,
      false,
    ]);
  });

  test("one failure is its own: a domain that does not exist, a volume that cannot be removed", async () => {
    const [a, b] = [await image(`${IMAGES}/a.qcow2`), await image(`${IMAGES}/b.qcow2`)];
    await machine("a", [disk(file(a))]);
    await machine("b", [disk(file(b))]);
    await run("chattr", ["+i", a]).catch(() => {});
    const immutable = await run("lsattr", [a]).then(
      ({ stdout }) => /^\S*i/.test(stdout),
      () => false,
    );
    const results = await withStorage("missing", "a", "b");
    expect(results[0]).toMatchObject({ success: false, code: "not_found" });
    if (immutable) {
      expect(results[1]).toMatchObject({ success: false, removed: [], kept: [] });
      expect(results[1].error).toMatch(/the domain is deleted, but its volume .*a\.qcow2 is left/);
      await run("chattr", ["-i", a]);
    }
    expect(results[2]).toEqual({ domain: "b", success: true, removed: [b], kept: [] });
    expect(await domains()).toEqual([]);
  });
});

describe("snapshots_only", () => {
  const snapshots = async (name: string) =>
    words(await virsh("snapshot-list", "--domain", name, "--name"));

  test("a running machine runs on with its disks, without its snapshots", async () => {
    const path = await image(`${IMAGES}/own.qcow2`);
    const name = "on 'x'";
    await machine(name, [disk(file(path))]);
    await virsh("start", "--domain", name);
    const three = NAMES_JOBS ? ["s-1", "s.2", "3"] : ["s 1", "s '2'", "3"];
    for (const one of three) await virsh("snapshot-create-as", "--domain", name, "--name", one);
    await machine("off", [disk(file(await image(`${IMAGES}/off.qcow2`)))]);
    await virsh("snapshot-create-as", "--domain", "off", "--name", "s");
    await machine("none");
    const definition = await virsh("dumpxml", "--domain", name);
    const names = [name, "missing", "off", "none"];
    const results = await remove(names, { snapshots_only: true, remove_storage: true });
    expect(results).toEqual([
      { domain: name, success: true, snapshots_deleted: three.toReversed() },
      { domain: "missing", success: false, code: "not_found", error: expect.any(String) },
      { domain: "off", success: true, snapshots_deleted: ["s"] },
      { domain: "none", success: true, snapshots_deleted: [] },
    ]);
    expect(await virsh("dumpxml", "--domain", name)).toBe(definition);
    expect([await state(name), await state("off")]).toEqual(["running", "shut off"]);
    expect([await snapshots(name), await snapshots("off")]).toEqual([[], []]);
    const { stdout } = await run("qemu-img", ["snapshot", "-l", "-U", path]);
    expect(stdout).toBe("");
    expect(await domains()).toEqual(["none", "off", name]);
  });

  test("one with overlays keeps what was written, or says which snapshots are left", async () => {
    const path = await image(`${IMAGES}/own.qcow2`);
    await machine("on", [disk(file(path))]);
    await virsh("start", "--domain", "on");
    await virsh("snapshot-create-as", "--domain", "on", "--name", "inside");
    await virsh("snapshot-create-as", "--domain", "on", "--name", "beside", "--disk-only");
    const [result] = await remove(["on"], { snapshots_only: true });
    expect(await state("on")).toBe("running");
    expect(existsSync(path)).toBe(true);
    const left = await snapshots("on");
    if (result.success) expect(left).toEqual([]);
    else for (const name of left) expect(result.error).toMatch(new RegExp(`left: .*${name}`));
  });
});
