/** The definition of a volume like another one, from texts that libvirt 9.0 really printed. */
import { describe, expect, test } from "vitest";
import {
  assertLike,
  knowsSecret,
  volumeLike,
} from "../../../../runtime/libvirt/storage/volume-model.ts";
import { parseXml, textOf } from "../../../../runtime/libvirt/xml.ts";

const SECRET = "<secret type='passphrase' uuid='5d3c6f2e-1111-4222-8333-444455556666'/>";
const definition = (target: string, type = "file", more = "") => `<volume type='${type}'>
  <name>a &amp; b</name>
  <key>/pool/a &amp; b</key>
  <capacity unit='bytes'>4194304</capacity>
  <allocation unit='bytes'>262144</allocation>
  <physical unit='bytes'>6262784</physical>
  <target>
    <path>/pool/a &amp; b</path>
    ${target}
    <permissions>
      <mode>0640</mode>
      <owner>64055</owner>
      <group>108</group>
      <label>system_u:object_r:svirt_image_t:s0</label>
    </permissions>
    <timestamps>
      <atime>1795985360.606457574</atime>
    </timestamps>
  </target>${more}
</volume>
`;

describe("volumeLike", () => {
  test.each([
    ["<format type='raw'/>", `<encryption format='luks'>${SECRET}</encryption>`],
    ["<format type='qcow2'/>", "<compat>1.1</compat><clusterSize unit='B'>16384</clusterSize>"],
    ["<format type='qcow2'/>", "<features><lazy_refcounts/><extended_l2/></features><nocow/>"],
  ])("keeps %s %s", (format, options) => {
    const { text } = volumeLike(definition(format + options), "c <d>");
    for (const part of [
      format,
      options,
      "<owner>64055</owner>",
      "<mode>0640</mode>",
      "svirt_image_t",
    ])
      expect(text).toContain(part);
    expect(textOf(parseXml(text, "volume"), "name")).toBe("c <d>");
    expect(text).toContain("<allocation unit='bytes'>0</allocation>");
    for (const own of ["/pool/", "<key>", "<physical", "<timestamps>", "type='file'"])
      expect(text).not.toContain(own);
  });

  test("says the version of an old qcow2, which libvirt leaves out", () => {
    const { text } = volumeLike(definition("<format type='qcow2'/>"), "c");
    expect(textOf(parseXml(text, "volume"), "target", "compat")).toBe("0.10");
    const newer = definition("<format type='qcow2'/><compat>1.1</compat>");
    expect(volumeLike(newer, "c").text.match(/<compat>/g)).toHaveLength(1);
    expect(volumeLike(definition("<format type='raw'/>"), "c").text).not.toContain("compat");
  });

  test("stands on nothing", () => {
    const backing = "<backingStore><path>/pool/base</path><format type='raw'/></backingStore>";
    const { text } = volumeLike(definition("<format type='qcow2'/>", "file", backing), "c");
    expect(text).not.toContain("backingStore");
  });

  test("of a device: no format and no owner of its kind", () => {
    const { text } = volumeLike(definition("<format type='none'/>", "block"), "c");
    expect(text).not.toMatch(/format|permissions|block/);
  });

  test("of a raw volume that its guest has encrypted: as many bytes as it has", () => {
    const text = definition("<format type='raw'/><encryption format='luks'></encryption>");
    expect(knowsSecret(text)).toBe(false);
    const like = volumeLike(text, "c").text;
    expect(like).toContain("<capacity unit='bytes'>6262784</capacity>");
    expect(like).not.toContain("encryption");
  });
});

describe("assertLike", () => {
  const model = { type: "file", format: "qcow2", capacity_bytes: 2048, encrypted: true };
  test.each([
    [{}, undefined],
    [{ capacity_bytes: 4096 }, undefined], // of whole clusters, or of a disk geometry
    [{ encrypted: false }, "its encryption"],
    [{ format: "raw" }, "its format"],
    [{ encrypted: false, capacity_bytes: 1024 }, "its encryption and its capacity"],
  ])("%j", (change, lost) => {
    const call = () => assertLike({ ...model, ...change }, model, "v");
    if (lost) expect(call).toThrow(`volume v: libvirt does not keep ${lost} here`);
    else call();
  });
});
