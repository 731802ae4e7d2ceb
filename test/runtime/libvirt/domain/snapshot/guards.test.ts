/** The images that snapshots must not rewrite or merge. */
import { describe, expect, test } from "vitest";
import type { Context } from "../../../../../runtime/hypervisor/context.ts";
import {
  assertChainNotShared,
  assertNoOverlays,
} from "../../../../../runtime/libvirt/domain/snapshot/guards.ts";
import { xml } from "../../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../../fixtures/fake.ts";

/** Volume of the pool /p → the path of its base. The domain vm has the disk `disk`. */
function hypervisor(volumes: Record<string, string>, disk: string, snapshot: string) {
  const domain = (source: string) =>
    `<domain><name>vm</name><devices><disk type='file'><driver type='qcow2'/>${source}<target dev='vda'/></disk></devices></domain>`;
  const { virsh } = answering((verb, ...words) => {
    if (verb === "list")
      return words.includes("--all") ? "11111111-0000-4000-8000-000000000000\n" : "";
    if (verb === "dominfo") return "Name:           vm\n";
    if (verb === "dumpxml") return domain(`<source file='${disk}'/>`);
    if (verb === "snapshot-list") return "s1\n";
    if (verb === "snapshot-dumpxml") return snapshot;
    if (verb === "pool-list") return "22222222-2222-4222-8222-222222222222\n";
    if (verb === "pool-name") return "p\n";
    if (verb === "vol-list")
      return Object.keys(volumes)
        .map((name) => ` ${name}   /p/${name}\n`)
        .join("");
    if (verb === "vol-dumpxml") {
      const name = `${words.at(-1)}`;
      const base = volumes[name] && xml`<backingStore><path>${volumes[name]}</path></backingStore>`;
      return `${xml`<volume><name>${name}</name><capacity>1</capacity><allocation>1</allocation><target><path>/p/${name}</path></target>${base}</volume>`}`;
    }
    return "";
  });
  const exec = async (argv: string[], { input = "" } = {}) => ({
    stdout: argv.includes("qemu-img") ? "{}" : input.replaceAll(/$|\0/g, "\0"),
    stderr: "",
    exitCode: 0,
  });
  return { virsh, exec } as unknown as Context;
}

const snapshot = (location: string, source: string) =>
  `<domainsnapshot><name>s1</name><state>shutoff</state><creationTime>1</creationTime><disks><disk name='vda' snapshot='${location}'/></disks><domain><devices><disk>${source}<target dev='vda'/></disk></devices></domain></domainsnapshot>`;
const file = "<source file='/p/base'/>";

describe("assertNoOverlays", () => {
  test.each<[string, Record<string, string>, string, string, string[]]>([
    ["nothing stands on it", { base: "" }, "internal", file, []],
    ["a linked clone does", { base: "", c: "/p/base" }, "internal", file, ["/p/c"]],
    [
      "the domain's own later overlay does",
      { base: "", s2: "/p/base" },
      "internal",
      file,
      ["/p/s2"],
    ],
    [
      "by pool and volume",
      { base: "", c: "/p/base" },
      "internal",
      "<source pool='p' volume='base'/>",
      ["/p/c"],
    ],
    ["disk-only: it writes to no base", { base: "", c: "/p/base" }, "external", file, []],
    ["a disk that was left out", { base: "", c: "/p/base" }, "no", file, []],
    ["a disk in no pool", { c: "/q/base" }, "internal", "<source file='/q/base'/>", []],
  ])("%s", async (_what, volumes, location, source, above) => {
    const ctx = hypervisor(volumes, "/p/s2", snapshot(location, source));
    const call = assertNoOverlays(ctx, "vm", "s1");
    if (above.length === 0) return expect(await call).toBeUndefined();
    await expect(call).rejects.toMatchObject({
      code: "in_use",
      message: `snapshot s1 is within the base of ${above.join(", ")}, which would break`,
      details: { children: above },
    });
  });
});

describe("assertChainNotShared", () => {
  const chain = { base: "", s1: "/p/base" };
  test.each<[string, Record<string, string>, string, string[]]>([
    ["the domain's own chain", chain, "external", []],
    ["a linked clone of what is below", { ...chain, c: "/p/base" }, "external", ["/p/c"]],
    ["a linked clone of the overlay", { ...chain, c: "/p/s1" }, "external", ["/p/c"]],
    ["internal ones merge nothing", { ...chain, c: "/p/base" }, "internal", []],
  ])("%s", async (_what, volumes, location, others) => {
    const ctx = hypervisor(volumes, "/p/s1", snapshot(location, file));
    const call = assertChainNotShared(ctx, "vm");
    if (others.length === 0) return expect(await call).toBeUndefined();
    await expect(call).rejects.toMatchObject({ code: "in_use", details: { children: others } });
  });
});

describe("after a revert to an earlier disk-only snapshot (libvirt 9.9 and later)", () => {
  const made = (path: string) =>
    `<disk name='vda' snapshot='external' type='file'><source file='${path}'/></disk>`;
  const before = (path: string) =>
    `<domain><devices><disk><source file='${path}'/><target dev='vda'/></disk></devices></domain>`;
  /** The disks of e2 are a branch: no backing file of the domain's present disk. */
  const reverted = (extra = "") =>
    `<domainsnapshot><name>s1</name><state>shutoff</state><creationTime>1</creationTime><disks>${made("/p/e1")}${made("/p/e2")}</disks>${extra}${before("/p/base")}</domainsnapshot>`;
  const volumes = { base: "", e1: "/p/base", e2: "/p/e1", "e1.17": "/p/base" };
  test.each<[string, Record<string, string>, string, string[]]>([
    ["its own overlays stand on its base", volumes, reverted(), []],
    ["a linked clone of the base", { ...volumes, c: "/p/base" }, reverted(), ["/p/c"]],
    ["a linked clone of a branch", { ...volumes, c: "/p/e2" }, reverted(), ["/p/c"]],
    [
      "an overlay that a revert made and another has replaced",
      { ...volumes, "e1.9": "/p/base" },
      reverted(`<revertDisks>${made("/p/e1.9")}</revertDisks>`),
      [],
    ],
  ])("%s", async (_what, images, definition, others) => {
    const call = assertChainNotShared(hypervisor(images, "/p/e1.17", definition), "vm");
    if (others.length === 0) return expect(await call).toBeUndefined();
    await expect(call).rejects.toMatchObject({ code: "in_use", details: { children: others } });
  });
});
