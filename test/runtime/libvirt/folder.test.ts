/** The identity of a file changes with every change of it, and is not trusted while one could be missed. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import { listFolders } from "../../../runtime/libvirt/folder.ts";

const { exec } = localTransport("test:///default");
const ctx = {
  exec: (argv: string[], options = {}) => exec(argv, { timeout: 10_000, ...options }),
};

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "it's a folder "));
  writeFileSync(join(folder, "image"), "aaaa");
  writeFileSync(join(folder, "other"), "bbbb");
  mkdirSync(join(folder, "elsewhere"));
  writeFileSync(join(folder, "elsewhere/target"), "cccc");
  symlinkSync("elsewhere/target", join(folder, "link"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const list = async () => (await listFolders(ctx, [folder]))[0]?.files;
const at = (name: string) => join(folder, name);

function replace(name: string, make: (path: string) => void) {
  unlinkSync(at(name));
  make(at(name));
}

test.each<[string, string, () => void]>([
  ["written, of the same size", "image", () => writeFileSync(at("image"), "AAAA")],
  ["swapped by a rename, of the same size", "image", () => renameSync(at("other"), at("image"))],
  ["made anew", "image", () => replace("image", (path) => writeFileSync(path, "aaaa"))],
  ["another mode", "image", () => chmodSync(at("image"), 0o600)],
  [
    "a link that leads elsewhere",
    "link",
    () => replace("link", (path) => symlinkSync("image", path)),
  ],
])("a change shows: %s", async (_what, name, change) => {
  const before = await list();
  await new Promise((resolve) => setTimeout(resolve, 20)); // more than one tick of the kernel's clock
  change();
  const after = await list();
  expect(before?.get(name)?.identity).toMatch(/^\w\w:/);
  expect(after?.get(name)?.identity).not.toBe(before?.get(name)?.identity);
});

test("what is not changed keeps its identity; files that have just changed are not settled", async () => {
  const [before, after] = [await list(), await list()];
  expect(before).toEqual(after);
  expect([...(before?.keys() ?? [])].sort()).toEqual(["elsewhere", "image", "link", "other"]);
  expect([...(before?.values() ?? [])].every(({ settled }) => !settled)).toBe(true);
  expect(before?.get("elsewhere")?.isRegular).toBe(false);
  expect(before?.get("link")).toMatchObject({ isLink: true, isRegular: false });
});

test("a name with a line break, and an empty folder", async () => {
  mkdirSync(at("empty"));
  writeFileSync(at("a\nb"), "");
  const [files, empty] = await listFolders(ctx, [folder, at("empty")]);
  expect(files?.files.has("a\nb")).toBe(true);
  expect(empty?.files.size).toBe(0);
});

test("a folder that cannot be listed is unknown, not empty; the others are known", async () => {
  const [missing, known] = await listFolders(ctx, [at("missing"), folder]);
  expect(missing).toBeUndefined();
  expect(known?.files.has("image")).toBe(true);
});

test("the folder's real path; a link in it is never settled, since its target may change", async () => {
  symlinkSync(folder, `${folder}.link`);
  const [known] = await listFolders(ctx, [`${folder}.link`]);
  unlinkSync(`${folder}.link`);
  expect(known?.realPath).toBe(realpathSync(folder));
  const [files] = await listFolders(said(`1000\0/p\0${file("1.5").replace("ff:", "lf:")}`), ["/p"]);
  expect(files?.files.get("image")?.settled).toBe(false);
});

const said = (text: string, exitCode = 0) => ({
  exec: async () => ({ stdout: text, stderr: "", exitCode }),
});
const file = (changed: string, type = "ext4") => `image\0ff:8:${changed}:1:2\0${type}\0\x000\0`;

test.each<[string, string, boolean | undefined]>([
  ["long ago", `1000\0/p\0${file("990.5")}`, true],
  ["within the tick of a coarse clock", `1000\0/p\0${file("998.0")}`, false],
  ["in the future", `1000\0/p\0${file("1001.0")}`, false],
  ["on a network's file system", `1000\0/p\0${file("990.5", "nfs4")}`, undefined],
  [
    "with a name that is no UTF-8",
    `1000\0/p\0${file("990.5").replace("image", "\uFFFD")}`,
    undefined,
  ],
  ["where find has no -printf (BusyBox)", "1000\0/p\0\x001\0", undefined],
  ["where nothing came", "", undefined],
])("settled: %s", async (_what, text, settled) => {
  const [files] = await listFolders(said(text), ["/p"]);
  expect(files?.files.get("image")?.settled).toBe(settled);
  if (settled === undefined) expect(files).toBeUndefined();
});
