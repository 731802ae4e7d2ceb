/** A domain whose disk other images stand on does not start. */
import { describe, expect, test } from "vitest";
import { assertNotBackingFile, readBases } from "../../../../runtime/libvirt/storage/backing.ts";
import { disk, hypervisor, type World } from "../../../fixtures/storage.ts";

const CHILD = { "/p/v": null, "/p/child": "/p/v" };
const UUID = "11111111-0000-4000-8000-000000000000";

/** Why the one domain, whose disks these are, may not start; undefined when it may. */
async function refusal(disks: string, world: World = {}) {
  const fake = hypervisor({ pools: { p: CHILD }, domains: { "it's": [false, disks] }, ...world });
  const error = await assertNotBackingFile(fake.ctx, UUID, "it's").catch((error) => error);
  return { error, ...fake };
}

describe("refused", () => {
  const IN_USE = {
    code: "in_use",
    message: "domain it's is the base of /p/child, which would break if it wrote to its disks",
    details: { children: ["/p/child"] },
  };
  test.each<[string, string, World?]>([
    ["by its path", disk("file='/p/v'")],
    ["by pool and volume", disk("pool='p' volume='v'")],
    ["one of several", disk("file='/q'") + disk("file='/p/v'")],
    ["by another name of the file", disk("file='/link'"), { links: { "/link": "/p/v" } }],
    [
      "which the child knows by another name",
      disk("file='/p/v'"),
      { pools: { p: { "/p/v": null, "/p/child": "/link" } }, links: { "/link": "/p/v" } },
    ],
    ["where no pool has the base", disk("file='/x'"), { pools: { p: { "/p/child": "/x" } } }],
  ])("%s", async (_what, disks, world) => {
    expect((await refusal(disks, world)).error).toMatchObject(IN_USE);
  });

  test("all children are named", async () => {
    const pools = { p: { ...CHILD, "/p/other": "/p/v" } };
    const { error } = await refusal(disk("file='/p/v'"), { pools });
    expect(error.details).toEqual({ children: ["/p/child", "/p/other"] });
  });
});

test.each<[string, string, World?]>([
  ["the child itself", disk("file='/p/child'")],
  ["another file", disk("file='/p/v2'")],
  ["a volume of that name elsewhere", disk("pool='q' volume='v'")],
  ["one that only reads it", disk("file='/p/v'", "<readonly/>")],
  ["one that has it as a CD-ROM", disk("file='/p/v'", "", "cdrom")],
  ["no disk", ""],
])("not refused: %s", async (_what, disks, world) => {
  expect((await refusal(disks, world)).error).toBeUndefined();
});

test("where nothing stands on anything, the domain is not looked at", async () => {
  const { error, verbs } = await refusal(disk("file='/p/v'"), { pools: { p: { "/p/v": null } } });
  expect(error).toBeUndefined();
  expect(verbs()).not.toContain("dumpxml");
});

test("what was read before is used", async () => {
  const fake = hypervisor({
    pools: { p: CHILD },
    domains: { vm: [false, disk("file='/p/v'")] },
  });
  const bases = await readBases(fake.ctx);
  fake.calls.splice(0);
  const start = assertNotBackingFile(fake.ctx, UUID, "vm", async () => bases);
  await expect(start).rejects.toMatchObject({ code: "in_use" });
  expect(fake.verbs()).toEqual(["dumpxml"]);
});
