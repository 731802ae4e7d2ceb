/** Names as in a URL, and names as they are: which file and which digest is meant. */
import { expect, test } from "vitest";
import type { Appliance } from "../../../../runtime/libvirt/import/appliance.ts";
import { withRealNames } from "../../../../runtime/libvirt/import/file-names.ts";
import type { Digest } from "../../../../runtime/libvirt/import/manifest.ts";

const digest = (value: string): Digest => ({ algorithm: "sha256", value });

/** The disk's file, its size and its digest, of a description that names it so. */
async function named(href: string, there: string[], listed?: Record<string, string>) {
  const appliance = {
    disks: [{ file: href, capacity: 1 }],
    sizes: new Map([[href, 7]]),
  } as unknown as Appliance;
  const digests =
    listed && new Map(Object.entries(listed).map(([name, value]) => [name, digest(value)]));
  const real = await withRealNames({ appliance, digests }, (name) => there.includes(name));
  const file = `${real.appliance.disks[0]?.file}`;
  const of = [file, real.appliance.sizes.get(file), real.digests?.get(file)?.value];
  return { of, listed: real.digests && [...real.digests.keys()] };
}

test.each<[string, string, string[], Record<string, string> | undefined, string, string?]>([
  ["plain names", "a.vmdk", ["a.vmdk"], { "a.vmdk": "1" }, "a.vmdk", "1"],
  ["a coded href", "b%20c.vmdk", ["b c.vmdk"], { "b c.vmdk": "1" }, "b c.vmdk", "1"],
  ["both coded", "b%20c.vmdk", ["b c.vmdk"], { "b%20c.vmdk": "1" }, "b c.vmdk", "1"],
  ["all coded", "b%20c.vmdk", ["b%20c.vmdk"], { "b%20c.vmdk": "1" }, "b%20c.vmdk", "1"],
  ["a coded file", "b%20c.vmdk", ["b%20c.vmdk"], { "b c.vmdk": "1" }, "b%20c.vmdk", "1"],
  ["a coded list", "b c.vmdk", ["b c.vmdk"], { "b%20c.vmdk": "1" }, "b c.vmdk", "1"],
  ["no list", "%C3%A4.vmdk", ["ä.vmdk"], undefined, "ä.vmdk", undefined],
  ["both files", "b%20c", ["b c", "b%20c"], { "b c": "1", "b%20c": "2" }, "b%20c", "2"],
  ["no code", "100%.vmdk", ["100%.vmdk"], { "100%.vmdk": "1" }, "100%.vmdk", "1"],
  ["no file", "b%20c.vmdk", [], { "b%20c.vmdk": "1" }, "b%20c.vmdk", "1"],
])("%s", async (_, href, there, listed, file, value) => {
  expect((await named(href, there, listed)).of).toEqual([file, 7, value]);
});

test.each(["..%2Fpasswd", "%2e%2e", "a%2Fb", "a%5Cb", "a%00b", "a%0Ab"])(
  "%s leads nowhere else",
  async (href) => {
    const there = [decodeURIComponent(href)];
    expect((await named(href, there, { [href]: "1" })).of).toEqual([href, 7, "1"]);
  },
);

test("the description's own name, and those of other files, may be coded in the list", async () => {
  const there = ["my vm.ovf", "b c.vmdk", "nv ram"];
  const list = { "my%20vm.ovf": "1", "b%20c.vmdk": "2", "nv%20ram": "3", gone: "4" };
  const { listed } = await named("b%20c.vmdk", there, list);
  expect(listed).toEqual(["b c.vmdk", "my vm.ovf", "nv ram", "gone"]);
});
