/** The names of a pool's volumes, from tables as virsh prints them. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { VolumeName } from "../../../../runtime/libvirt/storage/volume.ts";
import { readVolumeNames, volumeNames } from "../../../../runtime/libvirt/storage/volume-names.ts";
import { xml } from "../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../fixtures/fake.ts";

/** As `virsh -q vol-list` prints: a column as wide as its widest cell and three spaces, `\x` made harmless. */
function table(rows: [name: string, path: string][]): string {
  const cell = (text: string) => text.replaceAll("\\x", "\\x5cx");
  const wide = Math.max(...rows.map(([name]) => cell(name).length));
  return rows.map(([name, path]) => ` ${cell(name).padEnd(wide + 3)}${cell(path)}\n`).join("");
}

describe("volumeNames", () => {
  test.each([
    ["none", "", []],
    ["none, and what a session leaves", "\n", []],
    ["one", " v   /pool/v\n", ["v"]],
    ["columns", " a      /pool/a\n long   /pool/long\n", ["a", "long"]],
    ["wide letters", " 漢字   /p/漢字\n ab     /p/ab\n", ["漢字", "ab"]],
    [
      "a path that ends in another name",
      " unit:0:0:1   /dev/disk/by-path/ip-1.2.3.4-lun-1\n",
      ["unit:0:0:1"],
    ],
    ["no path", " v   \n", ["v"]],
    ["RBD", " img   rbd pool/img\n", ["img"]],
    ["\\x in a name", " a\\x5cx41   /p/a\\x5cx41\n", ["a\\x41"]],
  ])("%s", (_what, text, names) => {
    expect(volumeNames(text)).toEqual(names);
  });

  const letter = fc.constantFrom(..."  ab/\\x'\"$;ü漢🙂-.");
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: letter, maxLength: 12 }),
  );
  const name = text.filter((one) => VolumeName.safeParse(one).success);

  test("any names, in a folder of any name", () => {
    // control characters never get there: libvirt skips such files, and refuses such pools
    const folder = fc.array(name, { maxLength: 3 }).map((parts) => ["", ...parts].join("/"));
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), folder, (names, path) => {
        const rows = names.map((one): [string, string] => [one, `${path}/${one}`]);
        expect(volumeNames(table(rows))).toEqual(names);
      }),
      { numRuns: 500 },
    );
  });
});

describe("names that virsh cannot print", () => {
  /** A pool where virsh lists these rows, and its folder holds these files. */
  async function read(rows: string, files: string[], path = "/p  q") {
    const fake = answering((verb) =>
      verb === "vol-list" ? rows : `${xml`<pool><target><path>${path}</path></target></pool>`}`,
    );
    const programs: string[][] = [];
    const exec = (async (argv: string[]) => {
      programs.push(argv);
      return { stdout: files.map((file) => `${path}/${file}\0`).join(""), stderr: "", exitCode: 0 };
    }) as Context["exec"];
    return { ...(await readVolumeNames({ virsh: fake.virsh, exec }, "p")), programs };
  }

  test("the folder tells what they are", async () => {
    const rows =
      " a\\xff\\xff\\xffb   /p/a\\xff\\xff\\xffb\n plain            /p/plain\n ü\\xff\\xff           /p/ü\\xff\\xff\n";
    const files = ["plain", "a\u2028b", "no volume", "xa\u2028b", "üü", "aüb"];
    const { names, unreadable, programs } = await read(rows, files);
    expect(names).toEqual(["plain", "a\u2028b", "üü"]);
    expect(unreadable).toEqual([]);
    expect(programs).toEqual([
      ["find", "-H", "/p  q", "-mindepth", "1", "-maxdepth", "1", "-print0"],
    ]);
  });

  test("two that look alike are both there", async () => {
    const row = " a\\xff\\xff\\xff   /p/a\\xff\\xff\\xff\n";
    const { names } = await read(row + row, ["a\u2028", "a\u2029"]);
    expect(names).toEqual(["a\u2028", "a\u2029"]);
  });

  test("what is no UTF-8 cannot be asked for, and is told", async () => {
    const { names, unreadable } = await read(" caf\\xff.img   /p/caf\\xff.img\n", [
      "caf\uFFFD.img",
    ]);
    expect([names, unreadable]).toEqual([[], ["caf\uFFFD.img"]]);
  });

  test("a pool without a folder", async () => {
    const { unreadable, programs } = await read(" a\\xff   pool/a\\xff\n", [], "pool");
    expect([unreadable, programs]).toEqual([["a\uFFFD"], []]);
  });

  test.each([
    ["a replacement character of its own", " a\uFFFD   /p/a\uFFFD\n", "a\uFFFD"],
    ["a text that looks like one", " a\\x5cxff   /p/a\\x5cxff\n", "a\\xff"],
    ["a folder that cannot be printed", " a   /p\\xff\\xff/a\n", "a"],
  ])("not %s: nothing is looked up", async (_what, row, name) => {
    const { names, unreadable, programs } = await read(row, []);
    expect([names, unreadable, programs]).toEqual([[name], [], []]);
  });
});
