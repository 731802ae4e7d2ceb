/** POST /libvirt/cdrom/insert and eject: off, running, and a guest that locks the tray; virsh is the judge. */
import { mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { beforeAll, expect } from "vitest";
import { children, parseXml, xml } from "../../../runtime/libvirt/xml.ts";
import { bearing, guarded } from "../../fixtures/access.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { at, image, machine, sh, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { tinyOs } from "../../fixtures/live/tiny-os.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";

const { test, server } = labTest({ start, tidy: wipe });

const ALLOWED = "/srv/isos";
beforeAll(() => mkdirSync(ALLOWED, { recursive: true }));

const insert = (input: object) => server.post("/libvirt/cdrom/insert", { name: "vm", ...input });
const eject = (input = {}) => server.post("/libvirt/cdrom/eject", { name: "vm", ...input });

/** What lies in each drive, `target format path`: as the domain runs, and as it is stored. */
async function media(...flags: string[]) {
  const domain = parseXml(await virsh("dumpxml", "vm", ...flags), "domain");
  return children(domain, "devices", "disk").flatMap((disk) => {
    if (disk["@device"] !== "cdrom") return [];
    const [source, target, driver] = ["source", "target", "driver"].map(
      (key) => children(disk, key)[0],
    );
    return `${target?.["@dev"]} ${driver?.["@type"]} ${source?.["@file"] ?? "-"}`;
  });
}
const both = async () => [await media(), await media("--inactive")];

const iso = async (name: string) => {
  await sh(`head -c 1M /dev/urandom >'${name}'`);
  await virsh("pool-refresh", "default");
  return name.startsWith("/") ? name : at(name);
};
const drive = (target: string, bus: string, file?: string) =>
  xml`<disk type="file" device="cdrom"><driver name="qemu" type="raw"/>${file && xml`<source file="${file}"/>`}<target dev="${target}" bus="${bus}"/><readonly/></disk>`;

test("off: into the first empty drive, in its place on request, and out again", async () => {
  const [one, two, file] = [
    await iso("one.iso"),
    await iso("two.iso"),
    await iso(`${ALLOWED}/a b.iso`),
  ];
  await machine("vm", { devices: xml`${drive("hda", "ide")}${drive("hdb", "ide")}` });
  const answer = await insert({ volume: "one.iso" });
  expect(expectSuccess(answer)).toEqual({
    ...{ name: "vm", target: "hda", path: one, previous: null, live: false, persistent: true },
  });
  expect(answer.body.message).toBe(`${one} inserted into drive hda of vm`);
  expectSuccess(await insert({ path: file }));
  expect(await media()).toEqual([`hda raw ${one}`, `hdb raw ${file}`]);
  expectError(
    await insert({ volume: "two.iso" }),
    500,
    "in_use",
    /^target: hda holds .*one\.iso, hdb holds/,
  );
  expectError(
    await insert({ volume: "one.iso", target: "hdb" }),
    500,
    "already_exists",
    /^volume: .*already, as hda/,
  );
  const replaced = expectSuccess(await insert({ volume: "two.iso", target: "hdb" }));
  expect(replaced).toMatchObject({ target: "hdb", path: two, previous: file });
  expectError(
    await eject(),
    400,
    "invalid_input",
    /^target: the drives hda, hdb of vm hold media; say which/,
  );
  expect(expectSuccess(await eject({ target: "hda" }))).toMatchObject({
    path: null,
    previous: one,
  });
  expect(expectSuccess(await eject())).toMatchObject({ target: "hdb", previous: two });
  expect(await media()).toEqual(["hda raw -", "hdb raw -"]);
  expectError(await eject(), 404, "not_found", /^target: no CD-ROM drive of vm holds a medium/);
  expectError(
    await eject({ target: "hda" }),
    404,
    "not_found",
    /^target: drive hda of vm holds no medium/,
  );
});

test.each(["q35", "pc"])("off, %s: a domain without a drive gets one", async (type) => {
  const one = await iso("one.iso");
  await machine("vm", { os: xml`<os><type arch="x86_64" machine="${type}">hvm</type></os>` });
  expectError(await eject(), 404, "not_found", /^target: no CD-ROM drive/);
  const target = type === "q35" ? "sda" : "hda";
  expect(expectSuccess(await insert({ volume: "one.iso" }))).toMatchObject({ target, path: one });
  expect(await media()).toEqual([`${target} raw ${one}`]);
  await virsh("start", "vm");
  expect(await media()).toEqual([`${target} raw ${one}`]);
});

test("running: at once and stored", async () => {
  const [one, two] = [await iso("one.iso"), await iso("two.iso")];
  await machine("vm", { devices: drive("hda", "ide") });
  await virsh("start", "vm");
  const done = expectSuccess(await insert({ volume: "one.iso" }));
  expect(done).toMatchObject({ live: true, persistent: true, previous: null });
  expect(await both()).toEqual([[`hda raw ${one}`], [`hda raw ${one}`]]);
  expectSuccess(await insert({ volume: "two.iso", target: "hda" }));
  expect(await both()).toEqual([[`hda raw ${two}`], [`hda raw ${two}`]]);
  expect(expectSuccess(await eject())).toMatchObject({
    previous: two,
    live: true,
    persistent: true,
  });
  expect(await both()).toEqual([["hda raw -"], ["hda raw -"]]);
  await virsh("undefine", "vm");
  expect(expectSuccess(await insert({ volume: "one.iso" }))).toMatchObject({
    live: true,
    persistent: false,
  });
  await virsh("destroy", "vm");
});

test("running without a drive: it says what to do", async () => {
  await iso("one.iso");
  await machine("vm");
  await virsh("start", "vm");
  expectError(
    await insert({ volume: "one.iso" }),
    404,
    "not_found",
    /^target: domain vm has no CD-ROM drive, .*shut it down/,
  );
});

test.each([
  ["ide", "pc"],
  ["scsi", "pc"],
])("a guest that uses its medium locks the tray: %s", async (bus, type) => {
  const console = "/run/cdrom-console";
  rmSync(console, { force: true });
  const [one, two] = [await iso("one.iso"), await iso("two.iso")];
  const target = bus === "ide" ? "hda" : "sda";
  const controller = bus === "scsi" && xml`<controller type="scsi" model="virtio-scsi"/>`;
  const devices = xml`${controller}${drive(target, bus, one)}`;
  await machine("vm", { console, os: await tinyOs(type, "cdrom=1 lock=1"), devices });
  await virsh("start", "vm");
  await until("the guest boots", () => readFileSync(console, "utf8").includes("READY"), 90);
  const now = [[`${target} raw ${one}`], [`${target} raw ${one}`]];
  const locked =
    /^target: the tray of (hda|sda) did not open: the guest has locked it, .*force: true/;
  expectError(await eject(), 500, "in_use", locked);
  expectError(await insert({ volume: "two.iso", target }), 500, "in_use", locked);
  expect(await both()).toEqual(now);
  expectSuccess(await insert({ volume: "two.iso", target, force: true }));
  expect(await both()).toEqual([[`${target} raw ${two}`], [`${target} raw ${two}`]]);
  expectSuccess(await eject({ force: true }));
  expect(await both()).toEqual([[`${target} raw -`], [`${target} raw -`]]);
});

test("refused: paths, other domains' disks, what is not there", async () => {
  const own = await image("own.raw");
  await image("q.qcow2");
  await machine("other", { disks: [own] });
  await machine("vm", { disks: [await image("d.raw")], devices: drive("hda", "ide") });
  symlinkSync("/etc/passwd", `${ALLOWED}/link`);
  for (const path of ["/etc/passwd", `${ALLOWED}/link`, `${ALLOWED}/../../etc/passwd`])
    expectError(await insert({ path }), 400, "invalid_input", /^path: .*not in an allowed folder/);
  expectError(await insert({ path: `${ALLOWED}/none` }), 404, "not_found", /^path: /);
  expectError(await insert({ volume: "none" }), 404, "not_found", /^volume: /);
  expectError(await insert({ volume: "a", pool: "none" }), 404, "not_found", /^pool: /);
  expectError(
    await insert({ volume: "q.qcow2" }),
    400,
    "invalid_input",
    /^volume: .*qcow2, which is no ISO/,
  );
  expectError(
    await insert({ volume: "own.raw" }),
    500,
    "in_use",
    /^volume: domain other uses own\.raw/,
  );
  await iso("one.iso");
  for (const target of ["vda", "sdz"])
    expectError(
      await insert({ volume: "one.iso", target }),
      400,
      "invalid_input",
      /^target: domain vm has no CD-ROM drive (vda|sdz); its drives are hda/,
    );
  expectError(await eject({ target: "vda" }), 400, "invalid_input", /^target: /);
  expectError(await eject({ name: "gone" }), 404, "not_found", /'gone'/);
  expect(await both()).toEqual([["hda raw -"], ["hda raw -"]]);
  rmSync(`${ALLOWED}/link`);
});

test("a token for some domains cannot read the seeds of others", async () => {
  const seed = await iso("db-seed.iso");
  await iso("vm-seed.iso");
  await machine("db", { devices: drive("hda", "ide", seed) });
  await machine("vm", { devices: drive("hda", "ide") });
  symlinkSync(seed, `${ALLOWED}/link.iso`);
  const access = guarded();
  const token = await access.token("vm", { role: "admin", domains: ["vm"] });
  const limited = await start(undefined, access.env);
  const headers = { ...bearing(token).headers, "Content-Type": "application/json" };
  const ask = (path: string, input: object) =>
    limited.post(`/libvirt/${path}`, { name: "vm", ...input }, { headers });
  try {
    for (const source of [{ volume: "db-seed.iso" }, { path: `${ALLOWED}/link.iso` }]) {
      expectError(
        await ask("cdrom/insert", source),
        403,
        "forbidden",
        /use .*-seed\.iso, which is of another/,
      );
      const disk = { ...source, format: "raw", read_only: true };
      expectError(
        await ask("disk/attach", disk),
        403,
        "forbidden",
        /use .*-seed\.iso, which is of another/,
      );
    }
    expect(await both()).toEqual([["hda raw -"], ["hda raw -"]]);
    expectSuccess(await ask("cdrom/insert", { volume: "vm-seed.iso" }));
  } finally {
    await limited.stop();
    access.remove();
    rmSync(`${ALLOWED}/link.iso`);
  }
});

test("a seed stays that of its domain when the domain is renamed or has ejected it", async () => {
  for (const [name, renamed] of [
    ["echo-s", "private"],
    ["hid", "echo-hid"],
  ]) {
    const cloud_init = { password: "secret of the guest" };
    const disks = [{ size: "1MiB" }];
    const wish = { name, memory: 64, disks, networks: [], cloud_init };
    expectSuccess(await server.post("/libvirt/domain/create", wish), 201);
    await virsh("domrename", `${name}`, `${renamed}`);
  }
  await machine("echo-2", { devices: drive("hda", "ide") });
  const access = guarded();
  const token = await access.token("echo", { role: "admin", domains: ["echo*"] });
  const limited = await start(undefined, access.env);
  const headers = { ...bearing(token).headers, "Content-Type": "application/json" };
  const ask = (path: string, input: object) =>
    limited.post(`/libvirt/${path}`, { name: "echo-2", ...input }, { headers });
  const disk = { format: "raw", read_only: true };
  const overlay = "echo-over.qcow2";
  try {
    const backing = ["--backing-vol", "echo-s-seed.iso", "--backing-vol-format", "raw"];
    const sized = ["--capacity", "1M", "--format", "qcow2"];
    await virsh("vol-create-as", "default", overlay, ...sized, ...backing);
    const refused = async () => {
      for (const [path, source] of [
        ["cdrom/insert", { volume: "echo-s-seed.iso" }],
        ["disk/attach", { volume: "echo-s-seed.iso", ...disk }],
        ["disk/attach", { volume: overlay, read_only: true }],
      ] as const)
        expectError(
          await ask(path, source),
          403,
          "forbidden",
          /use .*-seed\.iso, which is of another/,
        );
    };
    await refused();
    expectSuccess(await server.post("/libvirt/cdrom/eject", { name: "private" }));
    await refused();
    expectSuccess(await ask("disk/attach", { volume: "hid-seed.iso", ...disk }));
  } finally {
    await limited.stop();
    access.remove();
    await virsh("vol-delete", "--pool", "default", overlay);
  }
});
