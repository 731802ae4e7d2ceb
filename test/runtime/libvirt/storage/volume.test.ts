/** What libvirt says of volumes, read from texts that it really printed. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import {
  KnownVolume,
  parseVolume,
  readVolumes,
  Volume,
  VolumeName,
} from "../../../../runtime/libvirt/storage/volume.ts";
import { answering } from "../../../fixtures/fake.ts";

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
      encrypted: false,
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

test("readVolumes: two round trips; one that goes away meanwhile is left out", async () => {
  const fake = answering((verb, ...words) => {
    if (verb === "vol-list") return " a      /p/a\n gone   /p/gone\n";
    if (words[3] === "gone") return new HyperError("not_found", "Storage volume not found");
    return OVERLAY;
  });
  const { volumes, unreadable } = await readVolumes({ ...fake, log } as unknown as Context, "p  q");
  expect([volumes.map(({ pool }) => pool), unreadable]).toEqual([["p  q"], []]);
  expect(fake.calls).toEqual([
    ["vol-list", "--pool", "p  q"],
    ["vol-dumpxml", "--pool", "p  q", "--vol", "a"],
    ["vol-dumpxml", "--pool", "p  q", "--vol", "gone"],
  ]);
});

test.each([".", ".."])("%j is no name of a volume", (name) => {
  expect(VolumeName.safeParse(name).success).toBe(false);
});

test.each([
  ["a line separator", "a\u2028b"],
  ["a paragraph separator", "\u2029"],
  ["what Unicode has not assigned", "a\u0378"],
  ["a noncharacter", "\u{10FFFF}"],
])("%s in the name of a new volume, not of one that is there", (_what, name) => {
  const { error } = VolumeName.safeParse(name);
  expect(error?.issues.map(({ message }) => message).join()).toMatch(
    /line or paragraph separators/,
  );
  expect(KnownVolume.safeParse(name).success).toBe(true);
  for (const plain of ["a b", "ü漢🙂\u00a0\u200d", "\ue000"])
    expect(VolumeName.safeParse(plain).success).toBe(true);
});
