/** Which disks a clone copies, and the paths that it makes up for them. */
import { describe, expect, test } from "vitest";
import { type CloneRequest, planDisks } from "../../../../runtime/libvirt/clone/plan.ts";
import { XmlDocument } from "../../../../runtime/libvirt/xml-document.ts";
import { cloning } from "../../../fixtures/cloning.ts";

const disk = (path: string, i: number, more = "", device = "disk") =>
  `<disk type='file' device='${device}'><driver type='${/qcow2|top/.test(path) ? "qcow2" : "raw"}'/><source file='${path}'/><target dev='vd${"abcdef"[i]}'/>${more}</disk>`;
const domain = (...disks: string[]) =>
  `<domain><name>vm</name><devices>${disks.join("")}</devices></domain>`;

async function plan(text: string, request: Partial<CloneRequest> = {}) {
  const { context } = cloning(text);
  const asked = { source: "vm", target: "new", ...request };
  const plans = await planDisks(context, new XmlDocument(text), asked);
  return plans.map(({ target, path, format }) => [target, path, format]);
}

describe("paths", () => {
  test.each<[string[], Partial<CloneRequest>, string[]]>([
    [["/pool/vm.qcow2"], {}, ["/pool/new.qcow2"]],
    [["/pool/vm-data"], {}, ["/pool/new-data"]],
    [["/pool/other.qcow2"], {}, ["/pool/new-vda.qcow2"]],
    [["/pool/other"], {}, ["/pool/new-vda"]],
    [["/pool/vm.qcow2"], { target: "web.v1" }, ["/pool/web.v1.qcow2"]],
    [["/pool/vm"], { target: "$&" }, ["/pool/$&"]],
    [["/pool/vm.raw"], { linked: true }, ["/pool/new.qcow2"]],
    [["/pool/vm"], { linked: true, target: "web.v1" }, ["/pool/web.v1.qcow2"]],
    [["/pool/other.img"], { linked: true }, ["/pool/new-vda.qcow2"]],
    // two that would get one name
    [
      ["/pool/vm.raw", "/pool/vm.qcow2"],
      { linked: true },
      ["/pool/new.qcow2", "/pool/new-vdb.qcow2"],
    ],
    [
      ["/pool/vm.raw", "/pool/b.raw"],
      { files: ["/pool/x.raw"] },
      ["/pool/x.raw", "/pool/new-vdb.raw"],
    ],
    [["/pool/vm.raw"], { files: ["/dev/vg/x"], autoClone: false }, ["/dev/vg/x"]],
  ])("of %j with %j", async (disks, request, expected) => {
    const text = domain(...disks.map((path, i) => disk(path, i)));
    if (expected[0]?.startsWith("/dev/")) {
      await expect(plan(text, request)).rejects.toMatchObject({
        code: "invalid_input",
        message: expect.stringMatching(
          /^files: \/dev\/vg\/x is in no active pool \(their folders: \/pool\) and no allowed folder \(\/data, /,
        ),
      });
    } else expect((await plan(text, request)).map(([, path]) => path)).toEqual(expected);
  });

  test("that are given for two disks, or for none", async () => {
    const text = domain(disk("/pool/a.raw", 0), disk("/pool/b.raw", 1));
    const twice = { files: ["/pool/x", "/pool/x"] };
    await expect(plan(text, twice)).rejects.toMatchObject({
      message: "files: /pool/x is named twice",
    });
    const three = { files: ["/pool/x", "/pool/y", "/pool/z"] };
    await expect(plan(text, three)).rejects.toMatchObject({
      message: "files: vm has 2 disks to copy, not 3",
    });
    await expect(plan(text, { autoClone: false, files: ["/pool/x"] })).rejects.toMatchObject({
      message: "files: no path for disk vdb of vm",
    });
  });
});

describe("which", () => {
  const copied = ["vda", "/pool/new.raw", "raw"];
  test.each<[string, string, unknown[]]>([
    ["a disk", disk("/pool/vm.raw", 0), [copied]],
    [
      "a disk that does not say so",
      "<disk><source file='/pool/vm.raw'/><target dev='vda'/></disk>",
      [copied],
    ],
    ["a LUN", disk("/pool/vm.raw", 0, "", "lun"), [copied]],
    ["a floppy, as virt-clone", disk("/pool/vm.raw", 0, "", "floppy"), [copied]],
    ["no floppy that is only read", disk("/pool/vm.raw", 0, "<readonly/>", "floppy"), []],
    ["no CD-ROM", disk("/pool/vm.raw", 0, "", "cdrom"), []],
    ["no empty drive", "<disk device='floppy'><target dev='fda'/></disk>", []],
    ["none that is only read", disk("/pool/vm.raw", 0, "<readonly/>"), []],
    ["none that several have", disk("/pool/vm.raw", 0, "<shareable/>"), []],
    [
      "none that several have and forget",
      disk("/pool/vm.raw", 0, "<transient shareBacking='yes'/>"),
      [],
    ],
    ["one that forgets what is written", disk("/pool/vm.raw", 0, "<transient/>"), [copied]],
  ])("%s", async (_what, text, expected) => {
    expect(await plan(domain(text))).toEqual(expected);
  });

  test.each([
    [disk("/pool/vm.raw", 0, "<encryption format='luks'/>"), /^disk vda of vm is encrypted/],
    [
      "<disk type='network'><source protocol='rbd' name='x'/><target dev='vda'/></disk>",
      /^disk vda of vm is neither a file, a device nor a volume/,
    ],
  ])("%s is refused", async (text, message) => {
    await expect(plan(domain(text))).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
  });
});
