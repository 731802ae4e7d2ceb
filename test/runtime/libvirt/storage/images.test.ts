/** The volumes of pools: what is the same is not read again, and what has changed always is. */
import { beforeEach, describe, expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { readImages, readPoolVolumes } from "../../../../runtime/libvirt/storage/images.ts";
import { xml } from "../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../fixtures/fake.ts";

interface File {
  identity: string;
  backing?: string;
  /** Seconds since its last change. */
  age?: number;
  /** A qcow2 whose header tells all. */
  qcow2?: boolean;
}

const UUID = "22222222-2222-4222-8222-222222222222";
let hosts = 0;

/** A directory pool "p" with these files. libvirt knows what they were at its last refresh. */
function hypervisor(files: Record<string, File>) {
  let seen = structuredClone(files);
  let folder = "/p";
  const fake = answering((verb, ...words) => {
    if (verb === "pool-list") return `${UUID}\n`;
    if (verb === "pool-name") return "p\n";
    if (verb === "pool-dumpxml")
      return `${xml`<pool type="dir"><name>p</name><uuid>${UUID}</uuid><target><path>${folder}</path></target></pool>`}`;
    if (verb === "pool-refresh") {
      seen = structuredClone(files);
      return "";
    }
    const name = `${words.at(-1)}`;
    const { backing } = seen[name] ?? {};
    return `${xml`<volume><name>${name}</name><target><path>${folder}/${name}</path></target>${backing && xml`<backingStore><path>${backing}</path></backingStore>`}</volume>`}`;
  });
  const exec = async (argv: string[], { input = "" } = {}) => {
    const ok = (stdout: string) => ({ stdout, stderr: "", exitCode: 0 });
    if (!argv[2]?.includes("find -H")) {
      const heads = input
        .split("\0")
        .map((path) => head(files[path.slice(path.lastIndexOf("/") + 1)]));
      return ok(Buffer.concat(heads).toString("base64"));
    }
    const rows = Object.entries(files).map(
      ([name, { identity, age = 10 }]) => `${name}\0ff:8:${1000 - age}:${identity}\0ext4\0`,
    );
    return ok(`1000\0${folder}\0${rows.join("")}\x000\0`);
  };
  const ctx = {
    ...fake,
    exec,
    host: `images ${hosts++}`,
    uri: "qemu:///system",
  } as unknown as Context;
  return {
    ...fake,
    ctx,
    move: (path: string) => {
      folder = path;
    },
    /** What was asked since the last time, without the reading of pools. */
    asked: () =>
      fake.calls
        .splice(0)
        .flatMap(([verb, ...words]) =>
          verb === "vol-dumpxml" ? [`${words.at(-1)}`] : verb === "pool-refresh" ? ["refresh"] : [],
        ),
  };
}

function head(file: File | undefined) {
  const bytes = Buffer.alloc(1024);
  if (!file?.qcow2) return bytes;
  bytes.write("QFI\xfb", "latin1");
  bytes.writeUInt32BE(3, 4);
  bytes.writeBigUInt64BE(4096n, 24);
  bytes.writeUInt32BE(104, 100);
  if (file.backing) {
    bytes.writeUInt32BE(0xe2792aca, 104);
    bytes.writeUInt32BE(5, 108);
    bytes.write("qcow2", 112);
    bytes.writeBigUInt64BE(200n, 8);
    bytes.writeUInt32BE(file.backing.length, 16);
    bytes.write(file.backing, 200);
  }
  return bytes;
}

let files: Record<string, File>;
beforeEach(() => {
  files = {
    a: { identity: "1" },
    b: { identity: "2", backing: "/p/a" },
    q: { identity: "3", backing: "a", qcow2: true },
  };
});
const backings = async (ctx: Context, refresh = true) =>
  Object.fromEntries(
    (await readImages(ctx, refresh)).images.map(({ name, backing }) => [
      name,
      backing?.path ?? null,
    ]),
  );
const FIRST = { a: null, b: "/p/a", q: "/p/a" };

test("the first time everything is read, then nothing; a qcow2's own header tells", async () => {
  const { ctx, asked } = hypervisor(files);
  expect(await backings(ctx)).toEqual(FIRST);
  expect(asked()).toEqual(["refresh", "a", "b"]);
  for (const refresh of [true, false]) {
    expect(await backings(ctx, refresh)).toEqual(FIRST);
    expect(asked()).toEqual([]);
  }
  expect((await readPoolVolumes(ctx, "p")).volumes.map(({ name }) => name)).toEqual([
    "a",
    "b",
    "q",
  ]);
  expect(asked()).toEqual([]);
});

describe("what has changed is read again", () => {
  test.each<[string, () => void, object, string[]]>([
    [
      "an image",
      () => (files.b = { identity: "9", backing: "/x" }),
      { ...FIRST, b: "/x" },
      ["refresh", "b"],
    ],
    [
      "a qcow2",
      () => (files.q = { identity: "9", backing: "/x", qcow2: true }),
      { ...FIRST, q: "/x" },
      [],
    ],
    [
      "a qcow2 that becomes another format",
      () => (files.q = { identity: "9", backing: "/x" }),
      { ...FIRST, q: "/x" },
      ["refresh", "q"],
    ],
    [
      "a new file",
      () => (files.n = { identity: "9", backing: "/p/b" }),
      { ...FIRST, n: "/p/b" },
      ["refresh", "n"],
    ],
    [
      "two that were swapped",
      () => ([files.a, files.b] = [files.b as File, files.a as File]),
      { ...FIRST, a: "/p/a", b: null },
      ["refresh", "a", "b"],
    ],
    ["one that is gone", () => delete files.b, { a: null, q: "/p/a" }, []],
  ])("%s", async (_what, change, expected, calls) => {
    const { ctx, asked } = hypervisor(files);
    await backings(ctx);
    asked();
    change();
    expect(await backings(ctx)).toEqual(expected);
    expect(asked()).toEqual(calls);
  });

  test("one that has just changed, each time: it may change once more within the same tick", async () => {
    files.b = { identity: "2", backing: "/p/a", age: 0 };
    const { ctx, asked } = hypervisor(files);
    await backings(ctx);
    files.b = { identity: "2", backing: "/x", age: 0 };
    expect(await backings(ctx)).toEqual({ ...FIRST, b: "/x" });
    expect(asked()).toEqual(["refresh", "a", "b", "refresh", "b"]);
  });

  test("what was read without a refresh is not remembered: libvirt may have told an old state", async () => {
    const { ctx, asked } = hypervisor(files);
    await backings(ctx);
    files.b = { identity: "9", backing: "/x" };
    expect(await backings(ctx, false)).toEqual(FIRST); // as libvirt last saw it
    expect(await backings(ctx, true)).toEqual({ ...FIRST, b: "/x" });
    expect(asked()).toEqual(["refresh", "a", "b", "b", "refresh", "b"]);
  });

  test("the pool's folder is another", async () => {
    const { ctx, asked, move } = hypervisor(files);
    await backings(ctx);
    asked();
    move("/q");
    expect(await backings(ctx)).toEqual({ ...FIRST, q: "/q/a" });
    expect(asked()).toEqual(["refresh", "a", "b"]);
  });
});
