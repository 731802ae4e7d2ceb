/** What libvirt says of volumes, read from texts that it really printed. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HyperError } from "../../runtime/errors.ts";
import { parseVolume, readVolumes, Volume, VolumeName, volumeNames } from "../../runtime/volume.ts";
import { answering } from "../fixtures/fake.ts";

const OVERLAY = `<volume type='file'>
  <name>it&apos;s &lt;an&gt; &quot;overlay&quot;</name>
  <key>/pool/it&apos;s &lt;an&gt; &quot;overlay&quot;</key>
  <capacity unit='bytes'>1073741824</capacity>
  <allocation unit='bytes'>200704</allocation>
  <physical unit='bytes'>196616</physical>
  <target>
    <path>/pool/it&apos;s &lt;an&gt; &quot;overlay&quot;</path>
    <format type='qcow2'/>
    <permissions><mode>0600</mode><owner>0</owner><group>0</group></permissions>
    <compat>1.1</compat>
  </target>
  <backingStore>
    <path>/pool/base</path>
    <format type='raw'/>
    <permissions><mode>0600</mode></permissions>
  </backingStore>
</volume>
`;

describe("parseVolume", () => {
  test("an overlay, its name escaped", () => {
    expect(Volume.parse(parseVolume("p", OVERLAY))).toEqual({
      pool: "p",
      name: `it's <an> "overlay"`,
      path: `/pool/it's <an> "overlay"`,
      type: "file",
      format: "qcow2",
      capacity_bytes: 2 ** 30,
      allocation_bytes: 200704,
      backing: { path: "/pool/base", format: "raw" },
    });
  });

  test("a block device: no format, no backing; a base of unknown format", () => {
    const block = `<volume type='block'><name>lv  1</name><capacity unit='bytes'>5</capacity>
      <allocation unit='bytes'>5</allocation><target><path>/dev/vg/lv  1</path></target></volume>`;
    expect(Volume.parse(parseVolume("p", block))).toMatchObject({
      name: "lv  1",
      type: "block",
      format: null,
      backing: null,
    });
    const unknown = block.replace(
      "</target>",
      "</target><backingStore><path>/b</path></backingStore>",
    );
    expect(parseVolume("p", unknown).backing).toEqual({ path: "/b", format: null });
    const empty = block.replace("</target>", "</target><backingStore/>");
    expect(parseVolume("p", empty).backing).toBeNull();
  });

  test("what is no volume", () => {
    expect(() => parseVolume("p", "<pool/>")).toThrow(/no <volume>/);
  });
});

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

test("readVolumes: two round trips; one that goes away meanwhile is left out", async () => {
  const fake = answering((verb, ...words) => {
    if (verb === "vol-list") return " a      /p/a\n gone   /p/gone\n";
    if (words[3] === "gone") return new HyperError("not_found", "Storage volume not found");
    return OVERLAY;
  });
  expect((await readVolumes(fake, "p  q")).map(({ pool }) => pool)).toEqual(["p  q"]);
  expect(fake.calls).toEqual([
    ["vol-list", "--pool", "p  q"],
    ["vol-dumpxml", "--pool", "p  q", "--vol", "a"],
    ["vol-dumpxml", "--pool", "p  q", "--vol", "gone"],
  ]);
});

test.each([".", ".."])("%j is no name of a volume", (name) => {
  expect(VolumeName.safeParse(name).success).toBe(false);
});
