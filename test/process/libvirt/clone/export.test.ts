/** An export's steps on real files: which folders it makes, and that a failure takes back exactly those. */
import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeEach, describe, expect, test } from "vitest";
import { settings } from "../../../../runtime/core/settings.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { ExecResult } from "../../../../runtime/hypervisor/transport.ts";
import { exportDomain } from "../../../../runtime/libvirt/clone/export.ts";
import { parseXml, textOf } from "../../../../runtime/libvirt/xml.ts";
import { cloning } from "../../../fixtures/cloning.ts";
import { withoutIsolation } from "../../../fixtures/isolated.ts";

const root = mkdtempSync(join(tmpdir(), "export-"));
const exports = join(root, "exports");
process.env.XDG_STATE_HOME = join(root, "state");
settings().files.allowed = [exports];
beforeEach(() => mkdirSync(exports));
afterEach(() => rmSync(exports, { recursive: true }));
afterAll(() => rmSync(root, { recursive: true }));

const SOURCE = `<domain><name>a &amp; b's</name><devices>
  <disk type='file' device='disk'><driver type='qcow2'/><source file='/pool/base.qcow2'/><target dev='vda'/><backingStore/></disk>
  <disk type='volume' device='floppy'><source pool='pool' volume='f'/><target dev='fda'/></disk>
  <disk type='file' device='cdrom'><source file='/pool/c.iso'/><target dev='hda'/><readonly/></disk>
  <disk type='network' device='cdrom'><source protocol='https' name='c.iso'/><target dev='hdb'/><readonly/></disk>
  <disk type='file' device='cdrom'><target dev='hdc'/><readonly/></disk>
</devices></domain>`;
const NAME = "a & b's";

/** Programs run for real, but for qemu-img, which writes "image"; `fails` says which one does not work. */
function hypervisor(fails?: string, change = SOURCE, meanwhile = () => {}) {
  const { context, caller } = cloning(change, {
    answer: (verb) => (verb === "vol-path" ? "/pool/f\n\n" : undefined),
  });
  const ran: string[][] = [];
  const exec = (given: string[], { input = "" } = {}) =>
    new Promise<ExecResult>((resolve) => {
      const argv = withoutIsolation(given);
      const [program = "", ...words] = argv;
      ran.push(argv);
      const script = words[0] === "-c" ? `${words[1]}` : "";
      if (program === fails || (fails && script.includes(`${fails} `))) {
        meanwhile();
        return resolve({ stdout: "", stderr: "broken", exitCode: 1 });
      }
      if (argv[1] === "info") return resolve({ stdout: "{}", stderr: "", exitCode: 0 });
      if (program === "qemu-img") writeFileSync(`${words.at(-1)}`, "image");
      const [real, args] = program === "qemu-img" ? ["true", []] : [program, words];
      const child = execFile(real, args, { encoding: "utf8" }, (error, stdout, stderr) =>
        resolve({ stdout, stderr, exitCode: error ? Number(error.code) : 0 }),
      );
      child.stdin?.on("error", () => {}).end(input);
    });
  return { ctx: { ...context, exec } as Context, ran, caller };
}
const tree = () => readdirSync(exports, { recursive: true }).map(String).sort();
const notes = () => readdirSync(join(root, "state/hypersdk/work"));

test("complete, under the domain's name, with every file that it needs", async () => {
  const { ctx, ran } = hypervisor();
  const { path, files } = await exportDomain(ctx, NAME, `${exports}/new/deep`, false);
  expect(path).toBe(`${exports}/new/deep/${NAME}`);
  expect(files.map(({ name, size }) => [name, size]).slice(0, 2)).toEqual([
    ["vda.qcow2", 5],
    ["fda.raw", 5],
  ]);
  const manifest = JSON.parse(readFileSync(join(path, "manifest.json"), "utf8"));
  expect(manifest).toMatchObject({ template: NAME, compressed: false, files });
  const text = readFileSync(join(path, "domain.xml"), "utf8");
  expect(textOf(parseXml(text, "domain"), "name")).toBe(NAME);
  const quoted = `${exports}/new/deep/a &amp; b&apos;s`;
  expect(text).toContain(`<source file='${quoted}/vda.qcow2'/>`);
  expect(text).toContain(`<source file='${quoted}/fda.raw'/>`);
  expect(text).not.toContain("backingStore");
  // elsewhere there is no such CD-ROM, and the machine starts all the same
  expect(text).toContain("<source file='/pool/c.iso' startupPolicy='optional'/>");
  expect(text.match(/startupPolicy/g)?.length).toBe(1);
  const convert = ran
    .filter(([program, verb]) => program === "qemu-img" && verb === "convert")
    .map((argv) => argv.slice(2, -1));
  expect(convert).toEqual([
    ["-p", "-f", "qcow2", "-O", "qcow2", "/pool/base.qcow2"],
    ["-p", "-f", "raw", "-O", "raw", "/pool/f"],
  ]);
  expect(notes()).toEqual([]);
});

describe("a failure", () => {
  test.each(["qemu-img", "sha256sum", "stat", "mv"])(
    "of %s: the folders that it made go, the others stay",
    async (program) => {
      mkdirSync(join(exports, "there"));
      const { ctx } = hypervisor(program);
      for (const folder of ["there", "there/a/b", "c/d/e", ""]) {
        const call = exportDomain(ctx, NAME, join(exports, folder), true);
        await expect(call).rejects.toMatchObject({ message: `${program}: broken` });
        expect(tree()).toEqual(["there"]);
      }
      expect(notes()).toEqual([]);
    },
  );

  test("leaves what somebody else has put in a folder meanwhile", async () => {
    const mine = join(exports, "a/mine");
    const { ctx } = hypervisor("sha256sum", SOURCE, () => writeFileSync(mine, ""));
    const call = exportDomain(ctx, NAME, join(exports, "a/b"), false);
    await expect(call).rejects.toMatchObject({ message: "sha256sum: broken" });
    expect(tree()).toEqual(["a", "a/mine"]);
  });

  test("a domain that was started while its disks were written: nothing is kept of them", async () => {
    const { ctx, ran } = hypervisor();
    const { virsh } = ctx;
    const started = () => ran.some(([, verb]) => verb === "convert");
    const answer = async (command: Parameters<typeof virsh>[0]) =>
      command[0] === "domstate" && started() ? "running\n\n" : virsh(command);
    ctx.virsh = Object.assign(answer, virsh);
    await expect(exportDomain(ctx, NAME, `${exports}/a`, false)).rejects.toMatchObject({
      code: "in_use",
      message: `template: domain ${NAME} is running; shut it down first`,
    });
    expect(tree()).toEqual([]);
  });

  test("a folder that another made first is that other's", async () => {
    const { ctx } = hypervisor("sha256sum");
    const { exec } = ctx;
    ctx.exec = async (argv, options) => {
      if (argv[0] === "mkdir" && argv.at(-1) === `${exports}/a`) mkdirSync(`${exports}/a`);
      return exec(argv, options);
    };
    await expect(exportDomain(ctx, NAME, `${exports}/a/b`, false)).rejects.toThrow();
    expect(tree()).toEqual(["a"]);
  });

  test("a folder that cannot be made is named", async () => {
    writeFileSync(join(exports, "file"), "mine");
    const { ctx } = hypervisor();
    await expect(exportDomain(ctx, NAME, `${exports}/file/a`, false)).rejects.toMatchObject({
      message: expect.stringMatching(/^mkdir: .*file\/a/),
    });
    expect(tree()).toEqual(["file"]);
  });

  test("a name that is taken is nobody's to remove", async () => {
    mkdirSync(join(exports, NAME));
    writeFileSync(join(exports, NAME, "mine"), "mine");
    const call = exportDomain(hypervisor().ctx, NAME, exports, false);
    await expect(call).rejects.toMatchObject({
      code: "already_exists",
      message: `export_path: ${exports}/${NAME} exists already`,
    });
    expect(existsSync(join(exports, NAME, "mine"))).toBe(true);
  });

  test("a disk on the network is refused, and nothing is left", async () => {
    const rbd = SOURCE.replace(
      "<source file='/pool/base.qcow2'/>",
      "<source protocol='rbd' name='x'/>",
    );
    const call = exportDomain(hypervisor(undefined, rbd).ctx, NAME, `${exports}/a`, false);
    await expect(call).rejects.toMatchObject({
      code: "unsupported",
      message: "disk vda is neither a file, a device nor a volume",
    });
    expect(tree()).toEqual([]);
  });
});

describe("what the definition says of a disk's source", () => {
  const RAW = SOURCE.replace("type='qcow2'", "type='raw'");
  const having = (children: string, source = RAW, disk = "device='disk'") =>
    source
      .replace("device='disk'", disk)
      .replace(
        "<source file='/pool/base.qcow2'/>",
        `<source file='/pool/base.qcow2' index='1'>${children}</source>`,
      );
  const ENCRYPTION = "<encryption format='luks'><secret type='passphrase' uuid='x'/></encryption>";
  const SLICE = "<slices><slice type='storage' offset='0' size='512'/></slices>";

  test.each([ENCRYPTION, SLICE, "<seclabel model='dac' relabel='no'/>"])(
    "%s stays",
    async (children) => {
      const { path } = await exportDomain(
        hypervisor(undefined, having(children)).ctx,
        NAME,
        exports,
        false,
      );
      const text = readFileSync(join(path, "domain.xml"), "utf8");
      expect(text).toMatch(/<source file='[^']*vda\.raw'/);
      expect(text).toContain(children);
    },
  );

  test("what only a LUN may have goes, with the LUN", async () => {
    const lun = having("<reservations managed='yes'/>", RAW, "device='lun' rawio='yes'");
    const { path } = await exportDomain(hypervisor(undefined, lun).ctx, NAME, exports, false);
    const text = readFileSync(join(path, "domain.xml"), "utf8");
    expect(text).toContain("<disk type='file' device='disk'>");
    expect(text).not.toContain("reservations");
  });

  test.each([
    [ENCRYPTION, RAW, true, /^disk vda is encrypted, so it can be exported only if it is raw/],
    [ENCRYPTION, SOURCE, false, /^disk vda is encrypted/],
    [SLICE, RAW, true, /^disk vda is a part of its file/],
    [SLICE, SOURCE, false, /^disk vda is a part of its file/],
  ])("%s is refused where it could not be kept", async (children, source, compress, message) => {
    const { ctx } = hypervisor(undefined, having(children, source));
    await expect(exportDomain(ctx, NAME, `${exports}/a`, compress)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
    expect(tree()).toEqual([]);
  });
});
