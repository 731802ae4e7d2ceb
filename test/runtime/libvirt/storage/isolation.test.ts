/** Who starts qemu-img, what it may open, and what is told where it cannot be isolated. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import type { ExecResult } from "../../../../runtime/hypervisor/transport.ts";
import { isolate } from "../../../../runtime/libvirt/isolation.ts";
import { readImageChain } from "../../../../runtime/libvirt/storage/image-chain.ts";
import { convertDisk } from "../../../../runtime/libvirt/storage/isolation-chain.ts";
import * as qemuImg from "../../../../runtime/libvirt/storage/qemu-img.ts";
import { answering } from "../../../fixtures/fake.ts";

const ROOT = join(import.meta.dirname, "../../../..");
const QEMU_IMG = "runtime/libvirt/storage/qemu-img.ts";
const sources = ["runtime", "functions"].flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name)),
);

describe("contract", () => {
  test("only qemu-img.ts starts a program that opens images", () => {
    // as the first word of an argv, or within a script
    const starts = /\[\s*["'`]qemu-(img|io|nbd)["'`]\s*,|`[^`]*\bqemu-(img|io|nbd) [a-z]+ -[^`]*`/;
    const found = sources.filter((name) => starts.test(readFileSync(join(ROOT, name), "utf8")));
    expect(found).toEqual([QEMU_IMG]);
  });

  /** Every call that it has, on files of these names. */
  const CALLS: Record<string, (exec: qemuImg.Exec) => Promise<unknown>> = {
    readImageInfo: (exec) => qemuImg.readImageInfo(exec, "/source", "qcow2"),
    probeImage: (exec) => qemuImg.probeImage(exec, "/source"),
    checkImage: (exec) => qemuImg.checkImage(exec, "/source", "qcow2", 1000),
    measureImage: (exec) => {
      const image = { path: "/source", format: "qcow2", reads: ["/source"] };
      return qemuImg.measureImage(exec, image);
    },
    readVmdkEnd: (exec) => qemuImg.readVmdkEnd(exec, "/source", 1000),
    createOverlay: (exec) =>
      qemuImg.createOverlay(exec, "/target", { path: "/source", format: "raw", size: 512 }),
    convertImage: (exec) => {
      const conversion = { source: "/source", target: "/target", targetFormat: "raw" };
      return qemuImg.convertImage(exec, conversion, {});
    },
  };

  test("and each of its calls is isolated, with its own files only", async () => {
    const functions = Object.entries(qemuImg).filter(([, part]) => typeof part === "function");
    const names = functions
      .map(([name]) => name)
      .filter((name) => !["intoVolume", "dataOf"].includes(name));
    expect(names.sort()).toEqual(Object.keys(CALLS).sort());
    for (const [name, call] of Object.entries(CALLS)) {
      const ran: string[][] = [];
      await call(async (argv) => {
        ran.push(argv);
        return { stdout: "{}", stderr: "", exitCode: 0 };
      });
      expect(ran.length, name).toBeGreaterThan(0);
      for (const argv of ran) {
        const words = argv.slice(argv.indexOf("qemu-img"));
        const reads = /create/.test(name) ? [] : ["/source"];
        const writes = /create|convert/.test(name) ? ["/target"] : [];
        const isolated = isolate(words, { reads, writes });
        expect(argv.slice(-isolated.length), name).toEqual(isolated);
      }
    }
  });
});

describe("isolate", () => {
  test.each(["relative", "", "/", "/..", "/a/../../b", "json:{}", "nbd://x/y", "-x"])(
    "%j is no file",
    (path) => {
      expect(() => isolate(["x"], { reads: [path] })).toThrow(/opened by its absolute path/);
      expect(() => isolate(["x"], { writes: [path] })).toThrow(/opened by its absolute path/);
    },
  );

  test.each(["/a", "/a b/$(c)", "/a/../b", "/a/./b//c"])("%j is one", (path) => {
    expect(isolate(["x", "y"], { reads: [path] }).slice(-5)).toEqual([path, "--", "--", "x", "y"]);
  });
});

describe("where it cannot be isolated, it is not run", () => {
  test.each([
    [1, "unshare: unshare failed: Operation not permitted\n", /CAP_SYS_ADMIN, or user namespaces/],
    [98, "unshare is not installed\n", /: unshare is not installed$/],
    [98, "qemu-img is not installed\n", /: qemu-img is not installed$/],
    [127, "chroot: failed to run command '/usr/bin/qemu-img': No such file", /: chroot: failed/],
  ])("exit code %i, %s", async (exitCode, stderr, message) => {
    const exec = async () => ({ stdout: "", stderr, exitCode });
    for (const call of [
      qemuImg.readImageInfo(exec, "/x", "qcow2"),
      readImageChain(exec, "/x", "qcow2"),
      qemuImg.readVmdkEnd(exec, "/x", 1000),
    ])
      await expect(call).rejects.toMatchObject({
        code: "unsupported",
        message: expect.stringMatching(message),
      });
  });

  test("an error of qemu-img's is its own", async () => {
    const exec = async () => ({ stdout: "", stderr: "unshare: is my name", exitCode: 2 });
    await expect(qemuImg.readImageInfo(exec, "/x", "raw")).rejects.toMatchObject({
      code: "command_failed",
    });
  });
});

describe("the files of a domain's disk", () => {
  /** A hypervisor with these images, whose backing files are their values; real paths are as they are. */
  function having(images: Record<string, object>, pools: string[] = []) {
    const virsh = answering((_verb, ...words) =>
      pools.includes(`${words.at(-1)}`) ? "pool\n" : new HyperError("not_found", "no such volume"),
    );
    const converted: string[][] = [];
    const exec = async (argv: string[]): Promise<ExecResult> => {
      const at = argv.indexOf("qemu-img");
      const done = { stdout: "", stderr: "", exitCode: 0 };
      if (at < 0) return { ...done, stdout: `${argv.slice(4).join("\n")}\n` };
      if (argv[at + 1] !== "convert") {
        const filename = `${argv.at(-1)}`;
        const info = images[filename];
        return info
          ? { ...done, stdout: JSON.stringify({ filename, ...info }) }
          : { ...done, exitCode: 1 };
      }
      converted.push(argv.slice(5, argv.indexOf("--")));
      return done;
    };
    return { ctx: { exec, virsh: virsh.virsh } as unknown as Context, converted };
  }
  const copy = (ctx: Context, sourceFormat = "qcow2") =>
    convertDisk(ctx, { source: "/vm/top", sourceFormat, target: "/t", targetFormat: "raw" }, {});
  const on = (path: string, format = "raw") => ({
    format: "qcow2",
    "full-backing-filename": path,
    "backing-filename-format": format,
  });

  test.each<[string, Record<string, object>, string[]]>([
    ["alone", { "/vm/top": { format: "qcow2" } }, ["/vm/top"]],
    [
      "on a raw one beside it",
      { "/vm/top": on("/vm/base"), "/vm/base": { format: "raw" } },
      ["/vm/top", "/vm/base"],
    ],
    [
      "by file:",
      { "/vm/top": on("file:/vm/base"), "/vm/base": { format: "raw" } },
      ["/vm/top", "/vm/base"],
    ],
    [
      "on a raw volume",
      { "/vm/top": on("/dev/vg/lv"), "/dev/vg/lv": { format: "raw" } },
      ["/vm/top", "/dev/vg/lv"],
    ],
    [
      "on a raw one in an allowed folder",
      { "/vm/top": on("/srv/b"), "/srv/b": { format: "raw" } },
      ["/vm/top", "/srv/b"],
    ],
    [
      "on an image anywhere",
      { "/vm/top": on("/home/b", "qcow2"), "/home/b": { format: "qcow2" } },
      ["/vm/top", "/home/b"],
    ],
    [
      "with a data file beside it",
      { "/vm/top": { format: "qcow2", "format-specific": { data: { "data-file": "data" } } } },
      ["/vm/top", "/vm/data"],
    ],
    ["that cannot be read", {}, ["/vm/top"]],
    ["in a circle", { "/vm/top": on("/vm/top", "qcow2") }, ["/vm/top"]],
  ])("%s", async (_what, images, files) => {
    const { ctx, converted } = having(images, ["/dev/vg/lv"]);
    await copy(ctx);
    expect(converted).toEqual([files]);
  });

  test("a raw one stands on nothing, whatever it begins like", async () => {
    const { ctx, converted } = having({ "/vm/top": on("/etc/x"), "/etc/x": { format: "raw" } });
    await copy(ctx, "raw");
    expect(converted).toEqual([["/vm/top"]]);
  });

  test.each<[string, Record<string, object>]>([
    ["a raw file elsewhere", { "/vm/top": on("/etc/x"), "/etc/x": { format: "raw" } }],
    [
      "one below an image",
      { "/vm/top": on("/vm/m", "qcow2"), "/vm/m": on("/etc/x"), "/etc/x": { format: "raw" } },
    ],
    ["a device that is no volume", { "/vm/top": on("/dev/sda"), "/dev/sda": { format: "raw" } }],
    [
      "a data file elsewhere",
      { "/vm/top": { format: "qcow2", "format-specific": { data: { "data-file": "/etc/x" } } } },
    ],
  ])("not on %s", async (_what, images) => {
    const { ctx, converted } = having(images);
    await expect(copy(ctx)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(/^\/vm\/top stands on \/.*, a raw file that lies in no pool/),
    });
    expect(converted).toEqual([]);
  });
});
