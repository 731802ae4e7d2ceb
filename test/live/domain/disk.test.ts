/** POST /libvirt/disk/attach and detach: in every state of the domain, as virsh and the files tell. */
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect } from "vitest";
import { children, parseXml, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  everything,
  image,
  imageInfo,
  machine,
  sh,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { tinyOs } from "../../fixtures/live/tiny-os.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

const ALLOWED = "/srv/disks";
beforeAll(() => mkdirSync(ALLOWED, { recursive: true }));

const attach = (input: object, name = "vm") =>
  server.post("/libvirt/disk/attach", { name, ...input });
const detach = (input: object, name = "vm") =>
  server.post("/libvirt/disk/detach", { name, ...input });

/** Each disk as `target bus format path`, with what else it is. */
async function disks(name = "vm", ...flags: string[]) {
  const domain = parseXml(await virsh("dumpxml", "--domain", name, ...flags), "domain");
  return children(domain, "devices", "disk").map((disk) => {
    const [source, target, driver] = ["source", "target", "driver"].map(
      (key) => children(disk, key)[0],
    );
    const marks = ["readonly", "shareable"].filter((key) => disk[key] !== undefined);
    const cache = driver?.["@cache"] ?? [];
    return [
      target?.["@dev"],
      target?.["@bus"],
      driver?.["@type"],
      source?.["@file"] ?? "-",
      ...marks,
    ]
      .concat(cache)
      .join(" ");
  });
}
const both = async (name = "vm") => [await disks(name), await disks(name, "--inactive")];

const CONSOLE = "/run/disk-console";
/** A domain on which the tiny guest runs, which lets go of what is unplugged. */
async function linux(name: string, type = "q35", devices = xml``) {
  rmSync(CONSOLE, { force: true });
  await machine(name, { console: CONSOLE, os: await tinyOs(type), devices });
  await virsh("start", name);
  await until("the guest boots", () => readFileSync(CONSOLE, "utf8").includes("READY"), 60);
}

describe("attach", () => {
  test("off: a new volume, an existing one, a file; each with the next target of its bus", async () => {
    await machine("vm", { disks: [await image("first.qcow2")] });
    const made = expectSuccess(await attach({ size: "20MiB" }));
    expect(made).toEqual({
      ...{ name: "vm", target: "vdb", bus: "virtio", path: at("vm-vdb.qcow2"), format: "qcow2" },
      ...{ pool: "default", volume: "vm-vdb.qcow2", capacity_bytes: 20 * 2 ** 20 },
      ...{ read_only: false, shareable: false, live: false, persistent: true },
    });
    expect(await imageInfo(at("vm-vdb.qcow2"))).toMatchObject({
      ...{ format: "qcow2", "virtual-size": 20 * 2 ** 20 },
    });
    await image("data.raw");
    const volume = expectSuccess(await attach({ volume: "data.raw", bus: "scsi", cache: "none" }));
    expect(volume).toMatchObject({ target: "sda", format: "raw", volume: "data.raw" });
    await sh(`qemu-img create -q -f qcow2 ${ALLOWED}/file.qcow2 9M`);
    const file = expectSuccess(
      await attach({ path: `${ALLOWED}/file.qcow2`, bus: "sata", format: "qcow2" }),
    );
    expect(file).toMatchObject({ target: "sdb", format: "qcow2", pool: null, volume: null });
    expectSuccess(await attach({ size: 1, format: "raw", bus: "ide" }));
    expectSuccess(await attach({ size: "1MiB", read_only: true }));
    expectError(await attach({ size: 1, bus: "usb" }), 500, "unsupported", /^bus: .*no USB/);
    expect((await disks("vm", "--inactive")).sort()).toEqual([
      `hda ide raw ${at("vm-hda.raw")}`,
      `sda scsi raw ${at("data.raw")} none`,
      `sdb sata qcow2 ${ALLOWED}/file.qcow2`,
      `vda virtio qcow2 ${at("first.qcow2")}`,
      `vdb virtio qcow2 ${at("vm-vdb.qcow2")}`,
      `vdc virtio qcow2 ${at("vm-vdc.qcow2")} readonly`,
    ]);
    expect(await virsh("dumpxml", "vm")).toContain("model='virtio-scsi'");
    rmSync(`${ALLOWED}/file.qcow2`);
  });

  test("running: plugged in and stored; what is left of the ports decides", async () => {
    await linux("vm");
    const first = expectSuccess(await attach({ size: "8MiB" }));
    expect(first).toMatchObject({ target: "vda", live: true, persistent: true });
    const line = `vda virtio qcow2 ${at("vm-vda.qcow2")}`;
    expect(await both()).toEqual([[line], [line]]);
    // ports are left until there are none
    let answer = await attach({ size: "8MiB" });
    for (let i = 0; i < 20 && answer.status === 200; i++) answer = await attach({ size: "8MiB" });
    expectError(
      answer,
      500,
      "unsupported",
      /^bus: .*no free PCIe port.*or use a bus that it has: /,
    );
    const [live, stored] = await both();
    expect(live).toEqual(stored);
    expect((await sh("ls")).trim().split("\n")).toHaveLength(live?.length ?? 0);
    // a name that a volume has already, and the bus that does not need a port
    expectError(
      await attach({ size: "8MiB", bus: "scsi" }),
      500,
      "unsupported",
      /^bus: .*SCSI controller/,
    );
    expect(await both()).toEqual([live, stored]);
  });

  test("running: scsi gets its controller, sata and ide say no, usb as there is a controller", async () => {
    await linux("vm", "pc");
    const one = expectSuccess(await attach({ size: "8MiB", bus: "scsi" }));
    expect(one).toMatchObject({ target: "sda", live: true, persistent: true });
    expectSuccess(await attach({ size: "8MiB", bus: "scsi" }));
    for (const flags of [[], ["--inactive"]])
      expect((await virsh("dumpxml", "vm", ...flags)).match(/model='virtio-scsi'/g)).toHaveLength(
        1,
      );
    const before = await everything();
    for (const bus of ["sata", "ide"])
      expectError(
        await attach({ size: "8MiB", bus }),
        500,
        "unsupported",
        new RegExp(`^bus: .*${bus} bus of a running`),
      );
    expect(await everything()).toEqual(before);
    expect((await both())[0]).toHaveLength(2);
  });

  test("transient", async () => {
    await machine("vm");
    await virsh("start", "vm");
    await virsh("undefine", "vm");
    expect(expectSuccess(await attach({ size: "8MiB" }))).toMatchObject({
      live: true,
      persistent: false,
    });
    expect(await disks()).toEqual([`vda virtio qcow2 ${at("vm-vda.qcow2")}`]);
  });

  test("a name of a volume that is taken: the next one", async () => {
    await machine("it's vm");
    await sh(`touch "it's vm-vda.qcow2"`);
    await virsh("pool-refresh", "default");
    const made = expectSuccess(await attach({ size: "8MiB" }, "it's vm"));
    expect(made).toMatchObject({ target: "vda", volume: "it's vm-vda-2.qcow2" });
  });

  test("many at once: each has a target of its own", async () => {
    await machine("vm");
    const answers = await Promise.all(Array.from({ length: 6 }, () => attach({ size: "1MiB" })));
    const targets = answers.map((answer) => expectSuccess(answer).target).sort();
    expect(targets).toEqual(["vda", "vdb", "vdc", "vdd", "vde", "vdf"]);
    expect(await disks("vm", "--inactive")).toHaveLength(6);
  });
});

describe("what is in use", () => {
  test("another domain's disk, unless both share it", async () => {
    await image("own.raw");
    await machine("other", { disks: [at("own.raw")] });
    await machine("vm");
    const answer = await attach({ volume: "own.raw", shareable: true });
    expectError(
      answer,
      500,
      "in_use",
      /^volume: domain other uses own\.raw as vda; only a disk that is shareable in both/,
    );
    expect(answer.body.domains).toEqual(["other"]);
    expect(await disks()).toEqual([]);
    await image("both.raw");
    expectSuccess(await attach({ volume: "both.raw", shareable: true }, "other"));
    expectError(await attach({ volume: "both.raw" }), 500, "in_use", /^volume: /);
    expectError(await attach({ volume: "both.raw", read_only: true }), 500, "in_use", /^volume: /);
    expectSuccess(await attach({ volume: "both.raw", shareable: true }));
    expect(await disks()).toEqual([`vda virtio raw ${at("both.raw")} shareable`]);
    expectError(
      await attach({ volume: "both.raw", shareable: true }),
      500,
      "already_exists",
      /^volume: domain vm has both\.raw already, as vda/,
    );
    await image("q.qcow2");
    expectError(
      await attach({ volume: "q.qcow2", shareable: true }),
      400,
      "invalid_input",
      /^shareable: only a raw image/,
    );
  });

  test("a base of another image: read-only, or not at all", async () => {
    const base = await image("base.qcow2");
    await sh(`qemu-img create -q -f qcow2 -b ${base} -F qcow2 child.qcow2`);
    await virsh("pool-refresh", "default");
    await machine("vm");
    const answer = await attach({ volume: "base.qcow2" });
    expectError(answer, 500, "in_use", /^volume: base\.qcow2 is the base of .*child\.qcow2/);
    expectSuccess(await attach({ volume: "child.qcow2" }));
    expectSuccess(await attach({ volume: "base.qcow2", read_only: true }, "vm"));
    expect(await disks()).toHaveLength(2);
  });
});

describe("hostile images", () => {
  const SECRET = "/run/secret-of-the-host";
  beforeAll(() => writeFileSync(SECRET, "secret\n".repeat(2000)));

  test.each([
    ["a backing file outside", `qemu-img create -q -u -f qcow2 -b ${SECRET} -F raw bad.qcow2 10M`],
    [
      "a backing file of no told format",
      `qemu-img create -q -u -f qcow2 -b ${SECRET} -F raw bad.qcow2 10M; printf '\\0\\0\\0\\0' | dd of=bad.qcow2 bs=1 seek=112 conv=notrunc status=none`,
    ],
    ["a server", "qemu-img create -q -u -f qcow2 -b nbd://127.0.0.1:1/x -F raw bad.qcow2 10M"],
    [
      "a description",
      `qemu-img create -q -u -f qcow2 -b 'json:{"driver":"raw","file":{"driver":"host_device","filename":"/dev/sda"},"filename":"/var/lib/libvirt/images/ok.raw"}' -F raw bad.qcow2 10M; truncate -s 10M ok.raw`,
    ],
    [
      "a data file outside",
      `qemu-img create -q -f qcow2 -o data_file=${SECRET}.d,data_file_raw=on bad.qcow2 10M`,
    ],
    [
      "a VMDK of other files",
      `printf '# Disk DescriptorFile\\nversion=1\\nCID=1\\nparentCID=ffffffff\\ncreateType="monolithicFlat"\\nRW 20 FLAT "${SECRET}" 0\\n' >bad.qcow2`,
    ],
  ])("%s: refused as a volume and as a file, and nothing is left", async (_what, make) => {
    await sh(`rm -f ${SECRET}.d; ${make}`);
    await virsh("pool-refresh", "default");
    await machine("vm");
    await sh(`cp bad.qcow2 ${ALLOWED}/bad.qcow2`);
    const before = await everything();
    const volume = await attach({ volume: "bad.qcow2" });
    expect([volume.status, volume.body.error], JSON.stringify(volume.body)).toEqual([
      expect.any(Number),
      expect.stringMatching(/^volume: /),
    ]);
    expect(volume.status).toBeGreaterThan(399);
    expectError(await attach({ path: `${ALLOWED}/bad.qcow2` }), 400, "invalid_input", /^path: /);
    expect(await everything()).toEqual(before);
    rmSync(`${ALLOWED}/bad.qcow2`);
  });

  test("paths: outside the allowed folders, by a link, by dots, no image, no file", async () => {
    await machine("vm");
    symlinkSync(SECRET, `${ALLOWED}/link`);
    await sh(
      `xz -c </dev/null >${ALLOWED}/a.xz; qemu-img create -q -f qcow2 -b ${at("x")} -F raw -u ${ALLOWED}/over.qcow2 1M`,
    );
    for (const path of [
      SECRET,
      `${ALLOWED}/link`,
      `${ALLOWED}/../../run/secret-of-the-host`,
      `${ALLOWED}/none`,
      `${ALLOWED}`,
      `${ALLOWED}/a.xz`,
      `${ALLOWED}/over.qcow2`,
      "/dev/null",
    ])
      expectError(await attach({ path }), 400, "invalid_input", /^path: /);
    expect(await disks()).toEqual([]);
    for (const name of ["link", "a.xz", "over.qcow2"]) rmSync(`${ALLOWED}/${name}`);
  });
});

test("attach: what does not exist, formats that are not so", async () => {
  await machine("vm");
  await image("q.qcow2");
  mkdirSync(at("folder"));
  await virsh("pool-refresh", "default");
  expectError(await attach({ volume: "none" }), 404, "not_found", /none/);
  expectError(await attach({ size: 1, pool: "none" }), 404, "not_found", /none/);
  expectError(await attach({ size: 1 }, "gone"), 404, "not_found", /'gone'/);
  expectError(await attach({ volume: "folder" }), 400, "invalid_input", /^volume: .*folder/);
  expectError(
    await attach({ volume: "q.qcow2", format: "vmdk" }),
    400,
    "invalid_input",
    /^format: volume q\.qcow2 .*is qcow2, not vmdk/,
  );
  for (const bus of ["sata", "ide"])
    expectError(
      await attach({ size: 1, bus, read_only: true }),
      500,
      "unsupported",
      /^read_only: /,
    );
  expect(await disks()).toEqual([]);
});

describe("detach", () => {
  test("off: by target, volume and path, and with its image", async () => {
    const files = [
      await image("a.qcow2"),
      await image("b.qcow2"),
      await image("c.raw"),
      await image("d.qcow2"),
    ];
    await machine("vm", { disks: files });
    const answer = await detach({ target: "vdb" });
    expect(expectSuccess(answer)).toEqual({
      ...{ name: "vm", target: "vdb", path: at("b.qcow2"), live: false, persistent: true },
    });
    expect(answer.body.message).toBe("Disk vdb detached from vm");
    expectSuccess(await detach({ volume: "a.qcow2" }));
    expectSuccess(await detach({ path: at("c.raw") }));
    expect(existsSync(at("a.qcow2"))).toBe(true);
    const removed = expectSuccess(await detach({ target: "vdd", remove: true }));
    expect(removed).toMatchObject({ removed: [at("d.qcow2")], kept: [] });
    expect([await disks(), existsSync(at("d.qcow2"))]).toEqual([[], false]);
    expect(await virsh("vol-list", "default")).not.toContain("d.qcow2");
  });

  test("running: the guest lets go, both lose it, and the image goes", async () => {
    await linux("vm");
    const { path } = expectSuccess(await attach({ size: "8MiB" }));
    const data = expectSuccess(await detach({ target: "vda", remove: true }));
    expect(data).toMatchObject({ live: true, persistent: true, removed: [path], kept: [] });
    expect([await both(), existsSync(path)]).toEqual([[[], []], false]);
    await sh(`qemu-img create -q -f raw ${ALLOWED}/loose.raw 2M`);
    expectSuccess(await attach({ path: `${ALLOWED}/loose.raw`, format: "raw" }));
    const loose = expectSuccess(await detach({ path: `${ALLOWED}/loose.raw`, remove: true }));
    expect(loose).toMatchObject({ live: true, removed: [`${ALLOWED}/loose.raw`] });
    expect(existsSync(`${ALLOWED}/loose.raw`)).toBe(false);
  });

  test("running: a guest that does not let go was asked; its image stays", async () => {
    await machine("vm", { os: xml`<os><type arch="x86_64" machine="q35">hvm</type></os>` });
    await virsh("start", "vm");
    const { path } = expectSuccess(await attach({ size: "8MiB" }));
    const answer = await detach({ target: "vda", remove: true });
    expect(expectSuccess(answer)).toEqual({
      ...{ name: "vm", target: "vda", path, live: "requested", persistent: true, removed: [] },
      kept: [{ path, reason: "the guest still has it" }],
    });
    expect(answer.body.message).toMatch(/asked to release disk vda and still has it/);
    expect(await both()).toEqual([[`vda virtio qcow2 ${path}`], []]);
    expect(existsSync(path)).toBe(true);
  });

  test("running: a disk on ide stays, and says why", async () => {
    await machine("vm", {
      devices: xml`<disk type="file"><source file="${await image("a.raw")}"/><target dev="hda" bus="ide"/></disk>`,
    });
    await virsh("start", "vm");
    expectError(
      await detach({ target: "hda" }),
      500,
      "unsupported",
      /^target: hda is on the ide bus/,
    );
    expect((await both())[1]).toHaveLength(1);
  });

  test("an image that is not its alone: refused before anything", async () => {
    const base = await image("base.qcow2");
    await machine("vm", { disks: [base, await image("two.qcow2")] });
    await sh("qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 child.qcow2");
    await virsh("pool-refresh", "default");
    const before = await everything();
    expectError(
      await detach({ target: "vda", remove: true }),
      500,
      "in_use",
      /^remove: .*base\.qcow2 is not the domain's alone: it is the base of .*child/,
    );
    await virsh("snapshot-create-as", "vm", "s1");
    expectError(
      await detach({ target: "vdb", remove: true }),
      500,
      "in_use",
      /^remove: the snapshots of vm \(s1\)/,
    );
    expect((await everything()).domains).toEqual(before.domains);
    expectError(
      await detach({ target: "vdx" }),
      404,
      "not_found",
      /^target: domain vm has no disk vdx; its disks are vda, vdb/,
    );
    expectError(
      await detach({ volume: "child.qcow2" }),
      404,
      "not_found",
      /^volume: domain vm has no disk child/,
    );
    expectError(await detach({ path: "/x" }), 404, "not_found", /^path: /);
    expectError(await detach({ target: "vda" }, "gone"), 404, "not_found", /'gone'/);
  });
});
