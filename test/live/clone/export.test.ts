/** Exports: files that need nothing else, whole under their name or not there. */
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { asJobs, NOT_AS_JOB } from "../../as-job.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  define,
  diskPaths,
  everything,
  image,
  imageInfo,
  machine,
  notes,
  programs,
  same,
  sh,
  sha256,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { alive, expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const EXPORTS = "/var/lib/libvirt/exports";
const { test, server } = labTest({ start, tidy: wipe });

const exported = (input: object, to = server) =>
  to.post("/libvirt/template/export", { export_path: EXPORTS, ...input });

/** The manifest agrees with the files, and the answer with the manifest. */
function expectManifest(folder: string, data: { files: unknown }, names: string[]) {
  const manifest = JSON.parse(readFileSync(join(folder, "manifest.json"), "utf8"));
  const files = names.map((name) => ({
    name,
    size: statSync(join(folder, name)).size,
    sha256: sha256(join(folder, name)),
  }));
  expect(manifest.files).toEqual(files);
  expect(data.files).toEqual(files);
  expect(readdirSync(folder).sort()).toEqual([...names, "manifest.json"].sort());
}

test("copied elsewhere, it boots with nothing of its origin left", {
  timeout: slow(90_000),
}, async () => {
  const nvram = "/var/lib/libvirt/qemu/nvram/t_VARS.fd";
  mkdirSync("/var/lib/libvirt/qemu/nvram", { recursive: true });
  copyFileSync("/usr/share/OVMF/OVMF_VARS_4M.fd", nvram);
  await image("base.qcow2");
  await sh("qemu-img create -q -f qcow2 -b base.qcow2 -F qcow2 over.qcow2");
  const disks = [
    at("over.qcow2"),
    await image("data.raw"),
    xml`<disk type="volume" device="disk"><driver name="qemu" type="qcow2"/><source pool="default" volume="base.qcow2"/><target dev="vdc" bus="virtio"/></disk>`,
    xml`<disk type="file" device="floppy"><source file="${await image("f.flp", "5760K")}"/><target dev="fda" bus="fdc"/></disk>`,
    xml`<disk type="file" device="cdrom"><source file="${await image("c.iso")}"/><target dev="hda" bus="ide"/><readonly/></disk>`,
  ];
  await virsh("pool-refresh", "default");
  await machine("t", { disks, console: "/run/t.log" });
  const before = await everything();
  for (const compress of [false, true]) {
    const folder = join(EXPORTS, `${compress}`);
    const data = expectSuccess(await exported({ template: "t", export_path: folder, compress }));
    expect(data.path).toBe(join(folder, "t"));
    const second = compress ? "vdb.qcow2" : "vdb.raw";
    const floppy = compress ? "fda.qcow2" : "fda.raw";
    // as libvirt orders them; a CD-ROM stays where it is
    const files = ["vda.qcow2", second, "vdc.qcow2", floppy, "domain.xml"];
    expectManifest(data.path, data, files);
    for (const [name, origin] of [
      ["vda.qcow2", "over.qcow2"],
      [second, "data.raw"],
      ["vdc.qcow2", "base.qcow2"],
      [floppy, "f.flp"],
    ] as const) {
      const path = join(data.path, name);
      expect(await same(path, at(origin))).toBe(true);
      expect(await imageInfo(path)).not.toHaveProperty("backing-filename");
    }
  }
  const { domains, files } = await everything();
  expect(domains).toEqual(before.domains);
  expect(files).toMatchObject(before.files);
  expect(notes()).toEqual([]);

  await sh(`mkdir -p /run/elsewhere; cp -r ${EXPORTS}/true/t /run/elsewhere/`);
  await wipe();
  const text = readFileSync("/run/elsewhere/t/domain.xml", "utf8");
  await define(
    text.replaceAll(`${EXPORTS}/true/`, "/run/elsewhere/").replace("<name>t<", "<name>back<"),
  );
  const exports = ["vda", "vdb", "vdc", "fda"].map((disk) => `/run/elsewhere/t/${disk}.qcow2`);
  expect((await diskPaths("back")).sort()).toEqual([...exports, at("c.iso")].sort());
  expect(existsSync(at("c.iso"))).toBe(false);
  rmSync("/run/t.log", { force: true });
  await virsh("start", "back");
  await until(
    "it boots",
    () => existsSync("/run/t.log") && /READY/.test(readFileSync("/run/t.log", "utf8")),
    60,
  );
});

test.each([
  ["as text", (path: string) => xml`<nvram>${path}</nvram>`],
  ["as a source", (path: string) => xml`<nvram type="file"><source file="${path}"/></nvram>`],
])("with its firmware's variables, %s", async (_how, nvram) => {
  const path = "/var/lib/libvirt/qemu/nvram/any.fd";
  mkdirSync("/var/lib/libvirt/qemu/nvram", { recursive: true });
  copyFileSync("/usr/share/OVMF/OVMF_VARS_4M.fd", path);
  const os = xml`<os><type arch="x86_64" machine="q35">hvm</type><loader readonly="yes" type="pflash">/usr/share/OVMF/OVMF_CODE_4M.fd</loader>${nvram(path)}</os>`;
  await machine("a b's", { os, disks: [await image("d.qcow2")] });
  const data = expectSuccess(await exported({ template: "a b's" }));
  expectManifest(data.path, data, ["vda.qcow2", "nvram.fd", "domain.xml"]);
  expect(sha256(join(data.path, "nvram.fd"))).toBe(sha256(path));
  const text = readFileSync(join(data.path, "domain.xml"), "utf8");
  expect(text).not.toContain(path);
  expect(text.match(/nvram\.fd/g)?.length).toBe(1);
  await virsh("undefine", "--domain", "a b's", "--keep-nvram");
  await define(text); // it is XML whatever the name
  expect(await diskPaths("a b's")).toEqual([join(data.path, "vda.qcow2")]);
});

test("refused: nothing is written", async () => {
  await machine("t", { disks: [await image("t.qcow2")] });
  await machine("running");
  await virsh("start", "running");
  mkdirSync(join(EXPORTS, "t"), { recursive: true });
  writeFileSync(join(EXPORTS, "t/mine"), "mine");
  await sh(`mkdir -p /run/outside; ln -sfn /run/outside ${EXPORTS}/link`);
  const before = await everything();
  const cases: [object, number, string, RegExp][] = [
    [{ template: "t" }, 500, "already_exists", /^export_path: .*exports\/t exists already/],
    [
      { template: "t", export_path: "/root" },
      400,
      "invalid_input",
      /^export_path: .*is not in an allowed folder/,
    ],
    [
      { template: "t", export_path: `${EXPORTS}/../../../../root` },
      400,
      "invalid_input",
      /allowed folder/,
    ],
    [{ template: "t", export_path: `${EXPORTS}/link` }, 400, "invalid_input", /allowed folder/],
    [
      { template: "t", export_path: "exports" },
      400,
      "invalid_input",
      /^export_path: must be an absolute path/,
    ],
    [{ template: "running" }, 500, "in_use", /^template: domain running is running; shut it down/],
    [{ template: "nobody" }, 404, "not_found", /nobody/],
    [{ template: "t", compress: "yes" }, 400, "invalid_input", /^compress: /],
    [{ template: "t", format: "ova" }, 400, "invalid_input", /unknown key "format"/],
  ];
  for (const [input, ...expected] of cases) {
    expectError(await exported(input), ...expected);
    expect(await everything()).toEqual(before);
  }
});

const SLOW = {
  "qemu-img":
    '[ "$1" != info ] || exec $REAL "$@"; $REAL "$@"; echo x >>/run/slow-export; sleep 30',
};

test("folders that it made go with it; others, and what others put in them, stay", async () => {
  await machine("t", { disks: [await image("t.qcow2")] });
  mkdirSync(join(EXPORTS, "old"), { recursive: true });
  const before = await everything();
  const broken = "echo broken >&2; exit 1";
  const other = await start(programs("/run/bin-broken", { sha256sum: broken }));
  for (const folder of ["old/a b/c's", "new", "new/deeper/deepest"]) {
    const input = { template: "t", export_path: join(EXPORTS, folder) };
    expectError(await exported(input, other), 500, "command_failed", /^sha256sum: broken/);
    expect(await everything()).toEqual(before);
  }
  await other.stop();
  const mine = `echo mine >${EXPORTS}/new/mine; ${broken}`;
  const third = await start(programs("/run/bin-mine", { sha256sum: mine }));
  const input = { template: "t", export_path: join(EXPORTS, "new/deeper") };
  expectError(await exported(input, third), 500, "command_failed", /^sha256sum: broken$/);
  await third.stop();
  expect(readFileSync(join(EXPORTS, "new/mine"), "utf8")).toBe("mine\n");
  expect(existsSync(join(EXPORTS, "new/deeper"))).toBe(false);
  const after = await everything();
  expect({ ...after.files, ...before.files }).toEqual(after.files);
  expect(after.notes).toEqual([]);
});

test.skipIf(asJobs)(
  `killed in folders that it made: they are named once they are empty ${NOT_AS_JOB}`,
  async () => {
    await machine("t", { disks: [await image("t.qcow2")] });
    const other = await start(programs("/run/bin-slow-export", SLOW));
    rmSync("/run/slow-export", { force: true });
    const input = { template: "t", export_path: join(EXPORTS, "one/two") };
    const answer = exported(input, other).catch(() => "gone");
    await until("a disk is written", () => existsSync("/run/slow-export"), 10);
    process.kill(other.pid, "SIGKILL");
    await until("it is dead", () => !alive(other.pid));
    expect(await answer).toBe("gone");
    const leftovers = async () =>
      (await server.get("/status")).body.data.hosts[0].leftovers.flatMap(
        ({ left }: { left: string[] }) => left,
      );
    const folder = join(EXPORTS, "one/two");
    const partial = join(folder, readdirSync(folder)[0] as string);
    expect(await leftovers()).toEqual([`folder ${partial}`]);
    rmSync(partial, { recursive: true });
    expect(await leftovers()).toEqual([`folder ${folder}`]);
    writeFileSync(join(folder, "mine"), ""); // in use by now, so nobody's leftover
    expect(await leftovers()).toEqual([]);
  },
);

/** An export to `EXPORTS` that is writing its disk. */
async function begin(init?: RequestInit) {
  await machine("t", { disks: [await image("t.qcow2")] });
  mkdirSync(EXPORTS, { recursive: true });
  const before = await everything();
  const other = await start(programs("/run/bin-slow-export", SLOW));
  rmSync("/run/slow-export", { force: true });
  const input = { template: "t", export_path: EXPORTS };
  const answer = other.post("/libvirt/template/export", input, init).catch(() => "gone");
  await until("a disk is written", () => existsSync("/run/slow-export"), 10);
  expect(readdirSync(EXPORTS)).toEqual([expect.stringMatching(/^t\.partial-/)]);
  return { answer, other, before };
}

test("the caller goes away: nothing is left", async () => {
  const gone = new AbortController();
  const { answer, other, before } = await begin({ signal: gone.signal });
  gone.abort();
  expect(await answer).toBe("gone");
  await until("nothing is left", async () => Bun.deepEquals(await everything(), before), 10);
  await other.stop();
});

test.skipIf(asJobs)(`killed, it is not there under its name ${NOT_AS_JOB}`, async () => {
  const { answer, other } = await begin();
  process.kill(other.pid, "SIGKILL");
  await until("it is dead", () => !alive(other.pid));
  expect(await answer).toBe("gone");
  expect(existsSync(join(EXPORTS, "t"))).toBe(false);
  const [{ operation, left: things }] = (await server.get("/status")).body.data.hosts[0].leftovers;
  expect(operation).toBe(`export of t to ${EXPORTS}/t`);
  expect(things).toEqual([`folder ${join(EXPORTS, readdirSync(EXPORTS)[0] as string)}`]);
  // what is left is in nobody's way
  expectSuccess(await exported({ template: "t" }));
});

test("a program that fails half way", async () => {
  await machine("t", { disks: [await image("t.qcow2"), await image("u.qcow2")] });
  mkdirSync(EXPORTS, { recursive: true });
  const before = await everything();
  for (const [program, script] of Object.entries({
    "qemu-img":
      'case "$*" in *u.qcow2*) echo "No space left on device" >&2; exit 1;; esac; exec $REAL "$@"',
    sha256sum: "echo broken >&2; exit 1",
    mv: "echo refused >&2; exit 1",
  })) {
    const other = await start(programs(`/run/bin-${program}`, { [program]: script }));
    const code = program === "qemu-img" ? "no_space" : "command_failed";
    expectError(await exported({ template: "t" }, other), 500, code, new RegExp(`^${program}: `));
    expect(await everything()).toEqual(before);
    await other.stop();
  }
});
