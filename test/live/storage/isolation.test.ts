/**
 * What an image can reach on the hypervisor, with all checks of headers switched off: qemu-img is run in its isolation
 * on images that name markers. Each way is also gone without the isolation, where it must lead to the marker.
 */
import { execFileSync, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import * as fc from "fast-check";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { runLocally } from "../../../runtime/hypervisor/local.ts";
import { isolate } from "../../../runtime/libvirt/isolation.ts";
import {
  checkImage,
  convertImage,
  type Exec,
  probeImage,
} from "../../../runtime/libvirt/storage/qemu-img.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { imageMakers, type Makers, SIZE, writeMarker } from "../../fixtures/live/naming-images.ts";
import { expectError, expectSuccess, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

/** Allowed, as all of /var/lib/libvirt is. */
const FROM = "/var/lib/libvirt/named";
const POOL = "/var/lib/libvirt/images";
const AWAY = "/run/marked";
const SOURCE = join(FROM, "source");
const TARGET = join(FROM, "to", "target");
const EXPORTS = "/var/lib/libvirt/exports";
const SOCKET = join(AWAY, "nbd.sock");
const PORT = 10_809;
const BYTES = `marker ${randomUUID()}\n`;
/** Beside the source, beside the target, and elsewhere. */
const MARKERS = [join(FROM, "marker"), join(FROM, "to", "marker"), join(AWAY, "marker")] as const;
const NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

const { test, server } = labTest({ tidy });
let makers: Makers;

beforeAll(async () => {
  for (const folder of [FROM, join(FROM, "to"), AWAY]) {
    mkdirSync(folder);
    chmodSync(folder, 0o777);
  }
  makers = imageMakers(join(FROM, "templates"));
  for (const path of MARKERS) writeMarker(path, BYTES);
  const serve = ["-r", "-t", "-e", "100", "-f", "raw", join(AWAY, "marker")];
  for (const place of [
    ["-k", SOCKET],
    ["-b", "127.0.0.1", "-p", `${PORT}`],
  ]) {
    const child = spawn("qemu-nbd", [...place, ...serve], { stdio: "ignore" });
    servers.push(() => child.kill("SIGKILL"));
  }
  await until("the NBD server listens", () => existsSync(SOCKET), 20);
  chmodSync(SOCKET, 0o777);
});
async function tidy() {
  await virsh("undefine", "copy").catch(() => {});
  for (const name of readdirSync(POOL)) rmSync(join(POOL, name));
  rmSync(EXPORTS, { recursive: true, force: true });
  await virsh("pool-refresh", "default");
}
const servers: (() => void)[] = [];
afterAll(() => {
  for (const stop of servers) stop();
  for (const folder of [FROM, AWAY]) rmSync(folder, { recursive: true, force: true });
});

const limits = { timeout: 60_000 };
/** The login user: root, or one who has rights to nothing but these folders. */
const LOGINS: Record<string, Exec> = {
  root: (argv, options) => runLocally(argv, { ...limits, ...options }),
  nobody: (argv, options) => runLocally([...NOBODY, ...argv], { ...limits, ...options }),
};
/** As root, and only what is within the isolation. */
const unisolated: Exec = (argv) => runLocally(argv.slice(argv.indexOf("qemu-img")), limits);

/** Whether bytes of a marker arrive when the image is converted, or in what qemu-img says of it. */
async function leaks(exec: Exec, image: Buffer, targetFormat = "raw", sourceFormat?: string) {
  for (const path of [SOURCE, TARGET]) rmSync(path, { force: true });
  writeFileSync(SOURCE, image, { mode: 0o644 });
  const conversion = { source: SOURCE, target: TARGET, targetFormat };
  const format = sourceFormat ? { sourceFormat } : {};
  const results = [
    await convertImage(exec, { ...conversion, ...format }, limits),
    await probeImage(exec, SOURCE),
    await checkImage(exec, SOURCE, sourceFormat ?? "qcow2", 60_000),
  ];
  const said = results.map(({ stdout, stderr }) => stdout + stderr).join("");
  const made = existsSync(TARGET) ? readFileSync(TARGET) : Buffer.alloc(0);
  return made.includes(BYTES) || said.includes(BYTES.trim());
}

const json = (node: object) => `json:${JSON.stringify(node)}`;
/** Names by which QEMU opens a file, and a server that has it. */
const NAMES: Record<string, (path: string) => string> = {
  path: (path) => path,
  "relative path": (path) => `../../../../../..${path}`,
  "file:": (path) => `file:${path}`,
  "json: of a file": (filename) => json({ driver: "raw", file: { driver: "file", filename } }),
  "nbd+unix:": () => `nbd+unix:///?socket=${SOCKET}`,
  "nbd:": () => `nbd://127.0.0.1:${PORT}`,
  "json: of a server": () => {
    const server = { type: "inet", host: "127.0.0.1", port: `${PORT}` };
    return json({ driver: "raw", file: { driver: "nbd", server } });
  },
  "blkdebug:": (path) => `blkdebug::${path}`,
  "the folder, as FAT": (path) => `fat:${path.replace(/\/[^/]*$/, "")}`,
};
/** The same, by ways round an isolation. */
const DETOURS: Record<string, (path: string) => string> = {
  "process 1": (path) => `/proc/1/root${path}`,
  "a descriptor": (path) => `/proc/self/fd/3/../../../..${path}`,
  "the working directory": (path) => `/proc/self/cwd/..${path}`,
  "the parent's root": (path) => `/../../..${path}`,
  "/sys": (path) => `/sys/..${path}`,
};

describe("without the isolation", () => {
  test.for([
    "VMDK descriptor",
    "VMDK descriptor without its first line",
    "VMDK descriptor of VMFS extents",
    "sparse VMDK whose descriptor names extents",
    "sparse VMDK whose descriptor names several",
    "qcow2 with a backing file",
    "qcow2 with a backing file of no format",
    "qcow2 with a data file",
    "qcow with a backing file",
    "QED with a backing file",
  ])("%s leads to the marker", async (kind) => {
    expect(await leaks(unisolated, makers[kind]?.(MARKERS[2]) as Buffer)).toBe(true);
  });

  test.for(Object.keys(NAMES))("%s leads to the marker", async (kind) => {
    const name = NAMES[kind]?.(MARKERS[2]) ?? "";
    const image = makers["qcow2 with a backing file"]?.(name) as Buffer;
    expect(await leaks(unisolated, image)).toBe(true);
  });
});

describe("isolated", () => {
  test("no image of any format reaches a marker", { timeout: slow(600_000) }, async () => {
    const names = { ...NAMES, ...DETOURS };
    const image = fc
      .record({
        kind: fc.constantFrom(...Object.keys(makers)),
        way: fc.constantFrom(...Object.keys(names)),
        marker: fc.constantFrom(...MARKERS),
        login: fc.constantFrom(...Object.keys(LOGINS)),
        target: fc.constantFrom("raw", "qcow2"),
        forced: fc.boolean(),
      })
      .filter(({ kind, way }) => !/VMDK/.test(kind) || !/json/.test(way));
    const property = fc.asyncProperty(
      image,
      async ({ kind, way, marker, login, target, forced }) => {
        const bytes = makers[kind]?.(names[way]?.(marker) ?? "") as Buffer;
        const format = forced ? /^(VMDK|qcow2|qcow|QED)/i.exec(kind)?.[0].toLowerCase() : undefined;
        expect(await leaks(LOGINS[login] as Exec, bytes, target, format)).toBe(false);
      },
    );
    await fc.assert(property, { numRuns: 120, endOnFailure: true });
  });

  test.for(Object.keys(NAMES))("%s leads nowhere", async (kind) => {
    const image = makers["qcow2 with a backing file"]?.(NAMES[kind]?.(MARKERS[2]) ?? "");
    expect(await leaks(LOGINS.root as Exec, image as Buffer)).toBe(false);
  });

  test.for(Object.keys(LOGINS))("%s still copies an image that names nothing", async (login) => {
    const exec = LOGINS[login] as Exec;
    const image = Buffer.from(BYTES.repeat(SIZE / 512));
    expect(await leaks(exec, image, "qcow2", "raw")).toBe(true);
  });

  test.for(Object.keys(LOGINS))("%s can open its files and nothing else", async (login) => {
    writeFileSync(SOURCE, "source", { mode: 0o644 });
    writeFileSync(TARGET, "");
    chmodSync(TARGET, 0o666);
    const exec = LOGINS[login] as Exec;
    const besides = ["/lib", "/lib64", "/usr/lib", "/usr/lib64"].flatMap((folder) => [
      "-not",
      "-path",
      `${folder}/*`,
    ]);
    const words = ["find", "/", "-type", "f", ...besides];
    const find = isolate(words, { reads: [SOURCE], writes: [TARGET] });
    const { stdout } = await exec(find, limits);
    const program = execFileSync("sh", ["-c", "command -v find"], { encoding: "utf8" }).trim();
    expect(stdout.trim().split("\n").sort()).toEqual(
      ["/dev/null", "/table", program, SOURCE, TARGET].sort(),
    );
    const write = (path: string) =>
      exec(
        isolate(["dd", "if=/dev/null", `of=${path}`], { reads: [SOURCE], writes: [TARGET] }),
        limits,
      );
    expect((await write(TARGET)).exitCode).toBe(0);
    expect((await write(SOURCE)).exitCode).not.toBe(0);
    expect(readFileSync(SOURCE, "utf8")).toBe("source");
  });
});

const everything = () =>
  [POOL, EXPORTS].flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []));

describe("through POST /libvirt/volume/upload", () => {
  const upload = (path: string, format: string, source_format?: string) =>
    server.post("/libvirt/volume/upload", {
      ...{ pool: "default", volume: "vol", source_path: path, format },
      ...(source_format && { source_format }),
    });

  async function expectNothing() {
    await virsh("pool-refresh", "default");
    expect((await virsh("vol-list", "--pool", "default")).trim()).toBe("");
    expect(everything()).toEqual([]);
  }

  test("no image that names a marker is taken, and nothing is left", async () => {
    for (const kind of Object.keys(makers).filter((kind) => kind !== "DMG")) {
      for (const name of [
        MARKERS[0],
        MARKERS[2],
        `json:{"driver":"file","filename":"${MARKERS[2]}"}`,
      ]) {
        writeFileSync(SOURCE, makers[kind]?.(name) as Buffer);
        const answer = await upload(SOURCE, "raw");
        expect.soft(answer.status, `${kind} ${JSON.stringify(answer.body)}`).toBe(400);
        if (answer.status === 201) await tidy();
        await expectNothing();
      }
    }
  });

  test.for([
    ["sparse VMDK whose descriptor names extents", /names other files/],
    ["qcow2 with a backing file", /has a backing file/],
    ["qcow2 with a data file", /data in another file/],
    ["VHD with a parent locator", /differencing VHD/],
    ["VHDX with a parent locator", /not a readable image/],
    ["VDI with a parent", /not a readable image/],
    ["QED with a backing file", /format qed|not a readable image/],
    ["Parallels image", /format parallels/],
  ] as const)("%s", async ([kind, why]) => {
    writeFileSync(SOURCE, makers[kind]?.(MARKERS[2]) as Buffer);
    expectError(await upload(SOURCE, "qcow2"), 400, "invalid_input", why);
    await expectNothing();
  });

  test.for([
    "qcow2 with a backing file",
    "qcow2 with a data file",
    "QED with a backing file",
    "sparse VMDK with a parent",
    "VDI with a parent",
  ])("a disk that begins like a %s: not as a raw volume, but as a qcow2", async (kind) => {
    const inner = join(FROM, "inner");
    writeFileSync(inner, makers[kind]?.(MARKERS[2]) as Buffer);
    execFileSync("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", inner, SOURCE]);
    expectError(await upload(SOURCE, "raw"), 400, "invalid_input", /begins like a .* image/);
    await expectNothing();
    expectSuccess(await upload(SOURCE, "qcow2"), 201);
    execFileSync("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", inner, join(POOL, "vol")]);
  });

  test("a CD-ROM is a raw disk all the same", async () => {
    const image = Buffer.alloc(SIZE);
    image.write("\u0001CD001\u0001", 32_768);
    writeFileSync(SOURCE, image);
    expectSuccess(await upload(SOURCE, "raw"), 201);
  });
});

describe("a disk of a domain", () => {
  const exported = () =>
    server.post("/libvirt/template/export", { template: "t", export_path: EXPORTS });
  const cloned = () => server.post("/libvirt/clone", { source: "t", target: "copy" });
  const disk = join(POOL, "t.disk");

  /** Defines a domain whose disk is this image. */
  async function having(
    machine: (name: string, options: object) => Promise<string>,
    format: string,
    image: Buffer,
  ) {
    writeFileSync(disk, image);
    await virsh("pool-refresh", "default");
    const source = xml`<disk type="file" device="disk"><driver name="qemu" type="${format}"/><source file="${disk}"/><target dev="vda" bus="virtio"/></disk>`;
    await machine("t", { disks: [source] });
  }

  test.for([
    ["qcow2", "qcow2 with a backing file", /a raw file that lies in no pool/],
    ["qcow2", "qcow2 with a data file", /a raw file that lies in no pool/],
    ["vmdk", "sparse VMDK whose descriptor names extents", /qemu-img/],
  ] as const)(
    "%s: %s elsewhere is neither cloned nor exported",
    async ([format, kind, why], { machine }) => {
      await having(machine, format, makers[kind]?.(MARKERS[2]) as Buffer);
      for (const call of [exported, cloned]) {
        const answer = await call();
        expect(answer.body.error).toMatch(why);
        expect([400, 500]).toContain(answer.status);
        expect(everything()).toEqual(["t.disk"]);
      }
    },
  );

  test.for([
    ["beside it", "raw", join(POOL, "t.base")],
    ["beside it, by its relative path", "raw", "../images/t.base"],
    ["in an allowed folder", "raw", MARKERS[0]],
    ["elsewhere, which is an image", "qcow2", join(AWAY, "base.qcow2")],
  ] as const)("a base %s is copied with it", async ([, format, base], { machine }) => {
    const at = resolve(POOL, base);
    const convert = ["convert", "-f", "raw", "-O", format, MARKERS[2], at];
    if (at !== MARKERS[0]) execFileSync("qemu-img", convert);
    const overlay = join(FROM, "overlay");
    const create = ["create", "-q", "-u", "-f", "qcow2", "-F", format, "-b", base, overlay];
    execFileSync("qemu-img", [...create, `${SIZE}`]);
    await having(machine, "qcow2", readFileSync(overlay));
    expectSuccess(await exported(), 200);
    expectSuccess(await cloned(), 201);
    for (const copy of [join(EXPORTS, "t", "vda.qcow2"), join(POOL, "copy.disk")])
      execFileSync("qemu-img", ["compare", "-f", "raw", "-F", "qcow2", MARKERS[2], copy]);
  });
});

describe("a volume through POST /libvirt/volume/clone, which libvirtd copies", () => {
  const input = { pool: "default", source_volume: "t.disk", target_volume: "copy.disk" };
  const copied = () => server.post("/libvirt/volume/clone", input);
  const disk = join(POOL, "t.disk");

  test("that names a marker elsewhere: not copied, and nothing is left", async () => {
    writeFileSync(disk, makers["qcow2 with a backing file"]?.(MARKERS[2]) as Buffer);
    await virsh("pool-refresh", "default");
    expectError(await copied(), 400, "invalid_input", /a raw file that lies in no pool/);
    expect(everything()).toEqual(["t.disk"]);
  });

  test("that is a domain's raw disk: not copied as what its guest wrote", async ({ machine }) => {
    writeFileSync(disk, makers["qcow2 with a backing file"]?.(MARKERS[0]) as Buffer);
    await virsh("pool-refresh", "default");
    const source = xml`<disk type="file" device="disk"><driver name="qemu" type="raw"/><source file="${disk}"/><target dev="vda" bus="virtio"/></disk>`;
    await machine("t", { disks: [source] });
    expectError(await copied(), 500, "unsupported", /as a raw disk, and libvirt would copy/);
    expect(everything()).toEqual(["t.disk"]);
  });

  test("that stands on a base beside it: copied with it", async () => {
    writeFileSync(join(POOL, "t.base"), readFileSync(MARKERS[2]));
    writeFileSync(disk, makers["qcow2 with a backing file"]?.(join(POOL, "t.base")) as Buffer);
    await virsh("pool-refresh", "default");
    expectSuccess(await copied(), 201);
    const compare = ["compare", "-f", "raw", "-F", "qcow2", MARKERS[2], join(POOL, "copy.disk")];
    execFileSync("qemu-img", compare);
  });
});
