/** How a domain's snapshots are read. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../../runtime/core/errors.ts";
import { readSnapshots } from "../../../../../runtime/libvirt/domain/snapshot/read.ts";
import { answering } from "../../../../fixtures/fake.ts";

const snapshot = (location: string, source: string) =>
  `<domainsnapshot><name>s1</name><state>shutoff</state><creationTime>1</creationTime><disks><disk name='vda' snapshot='${location}'/></disks><domain><devices><disk>${source}<target dev='vda'/></disk></devices></domain></domainsnapshot>`;
const file = "<source file='/p/base'/>";

describe("readSnapshots", () => {
  test("one that goes away meanwhile is left out; no current one is no failure", async () => {
    const gone = new HyperError("not_found", "no domain snapshot");
    const { virsh } = answering((verb, ...words) => {
      if (verb === "snapshot-list") return "a\nb\n";
      if (verb === "snapshot-current") return new HyperError("virsh_failed", "no current snapshot");
      return words.at(-1) === "a" ? gone : snapshot("internal", file).replace("s1", "b");
    });
    const found = await readSnapshots({ virsh }, "vm");
    expect(found.map(({ name, current }) => [name, current])).toEqual([["b", false]]);
  });

  test("with its memory in a file of its own it is external", async () => {
    const memory = "<memory snapshot='external' file='/m'/>";
    const text = snapshot("no", file).replace("<disks>", `${memory}<disks>`);
    const { virsh } = answering((verb) => (verb === "snapshot-list" ? "s1\n" : text));
    const [found] = await readSnapshots({ virsh }, "vm");
    expect(found?.location).toBe("external");
  });

  test("a domain that does not exist is said to be", async () => {
    const missing = new HyperError("not_found", "Domain not found");
    const { virsh } = answering(() => missing);
    await expect(readSnapshots({ virsh }, "x")).rejects.toBe(missing);
  });
});
