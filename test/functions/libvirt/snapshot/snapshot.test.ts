/** /libvirt/snapshot/* and /libvirt/snapshots: their commands, their refusals, and the way back to overlays. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import create from "../../../../functions/libvirt/snapshot/create.ts";
import remove from "../../../../functions/libvirt/snapshot/delete.ts";
import revert from "../../../../functions/libvirt/snapshot/revert.ts";
import snapshots from "../../../../functions/libvirt/snapshots.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";
import { withoutIsolation } from "../../../fixtures/isolated.ts";

const state = mkdtempSync(join(tmpdir(), "snapshot-"));
process.env.XDG_STATE_HOME = state;
afterAll(() => rmSync(state, { recursive: true }));

const xmlOf = (name: string, location = "internal") =>
  `<domainsnapshot><name>${name}</name><state>running</state><creationTime>1700000000</creationTime><disks><disk name='vda' snapshot='${location}'/></disks></domainsnapshot>`;

describe("create", () => {
  const input = { domain_name: "it's", snapshot_name: "s 1" };
  const fake = (name = "s 1") =>
    answering((verb, ...words) => {
      if (verb === "snapshot-list") return `${name}\n`;
      if (verb === "dumpxml") return "<domain/>";
      return verb === "snapshot-dumpxml" ? xmlOf(`${words.at(-1)}`) : "";
    });

  test.each([
    [{}, []],
    [{ description: "" }, []],
    [{ description: "--x\n\ty" }, ["--description", "--x\n\ty"]],
    [{ disk_only: true, atomic: true }, ["--disk-only", "--atomic"]],
  ])("with %j", async (change, options) => {
    const virsh = fake();
    const made = await create({ ...input, ...change }, virsh);
    expect(virsh.calls.find(([verb]) => verb === "snapshot-create-as")).toEqual([
      ...["snapshot-create-as", "--domain", "it's", "--name", "s 1"],
      ...options,
    ]);
    expect(made).toMatchObject({
      name: "s 1",
      state: "running",
      created: "2023-11-14T22:13:20.000Z",
    });
  });

  // as virsh reports it of libvirt 11.3 and QEMU 10.0
  const jobId = (verb: string, name: string) =>
    new HyperError(
      "virsh_failed",
      `internal error: unable to execute QEMU command 'snapshot-${verb}': Invalid job ID 'internal-snapshot-${verb}-${name}'`,
    );

  test("a name that QEMU does not take while the domain runs: what works is said", async () => {
    const refused = answering(() => jobId("save", "s 1"));
    await expect(create(input, refused)).rejects.toMatchObject({
      code: "unsupported",
      message:
        'while a domain runs, this hypervisor can take and delete only snapshots with letters A to Z, digits, "-", "." and "_" in their names, ' +
        'not "s 1": choose such a name, shut the domain down first, or take one of the disks alone (disk_only)',
    });
    const deleting = answering((verb) =>
      verb === "snapshot-delete" ? jobId("delete", "it's\ntwo") : xmlOf("s1"),
    );
    await expect(
      remove({ domain_name: "vm", snapshot_name: "s1", children: true }, deleting),
    ).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/, not "it's\\ntwo": shut the domain down first$/),
    });
  });

  const disk = (target: string, source: string, more = "") =>
    `<disk type='volume' device='disk'><source ${source}/><target dev='${target}'/>${more}</disk>`;
  const byVolume = (name: string, target = "vda") => disk(target, `pool='p' volume='${name}'`);
  const overlay = (target: string, path: string) => [
    "--diskspec",
    `${target},snapshot=external,file=${path}`,
  ];
  const running = (disks: string) => `<domain id='7'><devices>${disks}</devices></domain>`;
  const off = (disks: string) => `<domain><devices>${disks}</devices></domain>`;
  const disksOnly = (definition: string, snapshot_name = "s1") => {
    const virsh = answering((verb, ...words) => {
      const name = `${words.at(-1)}`;
      if (verb === "dumpxml") return definition;
      if (verb === "snapshot-list") return `${snapshot_name}\n`;
      if (verb === "snapshot-dumpxml") return xmlOf(snapshot_name);
      const type = name.startsWith("lv") ? "block" : "file";
      return verb === "vol-dumpxml"
        ? `<volume type='${type}'><name>${name}</name><capacity>1</capacity><allocation>1</allocation><target><path>/p/${name}</path></target></volume>`
        : "";
    });
    const call = create({ ...input, snapshot_name, disk_only: true }, virsh);
    return call.then(() => {
      const taken = virsh.calls.find(([verb]) => verb === "snapshot-create-as") ?? [];
      return taken.slice(taken.indexOf("--disk-only") + 1);
    });
  };

  test.each([
    ["named by path: libvirt makes up the name", disk("vda", "file='/p/a.qcow2'"), []],
    ["named by volume", byVolume("a.qcow2"), overlay("vda", "/p/a.s1")],
    ["without a suffix", byVolume("a"), overlay("vda", "/p/a.s1")],
    ["with commas, which virsh reads in pairs", byVolume("a,b.raw"), overlay("vda", "/p/a,,b.s1")],
    [
      "two of them beside one with a path",
      byVolume("a") + disk("vdb", "file='/p/b'") + byVolume("c", "vdc"),
      [...overlay("vda", "/p/a.s1"), ...overlay("vdc", "/p/c.s1")],
    ],
    ["a read-only one", disk("vda", "pool='p' volume='a'", "<readonly/>"), []],
    ["a device", byVolume("lv"), []],
  ])("disk_only of a disk %s", async (_what, disks, options) => {
    expect(await disksOnly(running(disks))).toEqual(options);
  });

  test.each([
    [byVolume("a,b.raw"), "s1"],
    [disk("vda", "file='/p/a,b'"), "s1"],
    [disk("vda", "file='/p/a'"), "s,1"],
  ])("an overlay with a comma, of a domain that is off, is refused: %s %s", async (disks, name) => {
    await expect(disksOnly(off(disks), name)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(/^disk_only: libvirt cannot make overlays with a comma/),
    });
  });

  test("one that is gone at once is said to be", async () => {
    await expect(create(input, fake("other"))).rejects.toMatchObject({
      code: "not_found",
      message: "snapshot s 1 was taken, and has gone since",
    });
  });

  test.each([
    [{ snapshot_name: "" }, /^snapshot_name: must not be empty/],
    [{ snapshot_name: "a/b" }, /^snapshot_name: /],
    [{ description: "\u0007" }, /^description: must not contain control characters/],
    [{ description: "\uFFFE" }, /^description: /],
    [{ quiesce: true }, /unknown key "quiesce"/],
  ])("%j is refused", async (change, message) => {
    const virsh = fake();
    await expect(create({ ...input, ...change } as never, virsh)).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(virsh.calls).toEqual([]);
  });
});

describe("delete", () => {
  const input = { domain_name: "vm", snapshot_name: "s1" };
  test.each([
    [{}, []],
    [{ children: true }, ["--children"]],
  ])("with %j", async (change, options) => {
    const virsh = answering((verb) => (verb === "snapshot-list" ? "s1\n" : xmlOf("s1")));
    expect(await remove({ ...input, ...change }, virsh)).toEqual(input);
    expect(virsh.calls.at(-1)).toEqual([
      ...["snapshot-delete", "--domain", "vm", "--snapshotname", "s1"],
      ...options,
    ]);
  });

  test("where libvirt says no, so do we", async () => {
    const no = new HyperError("not_found", "no domain snapshot");
    const virsh = answering((verb) => (verb === "snapshot-delete" ? no : ""));
    await expect(remove(input, virsh)).rejects.toBe(no);
  });
});

describe("revert", () => {
  const input = { domain_name: "vm", snapshot_name: "s1" };
  const unsupported = new HyperError(
    "unsupported",
    "revert to external snapshot not supported yet",
  );
  const definition = (file: string, format: string) =>
    `<domain><name>vm</name><devices><disk><driver type='${format}'/><source file='${file}'/><target dev='vda'/></disk></devices></domain>`;
  const external = `<domainsnapshot><name>s1</name><disks><disk name='vda' snapshot='external'><driver type='qcow2'/><source file='/p/top'/></disk></disks>${definition("/p/base", "raw")}</domainsnapshot>`;

  /** A machine on an overlay of a disk-only snapshot; `run` is what programs do. */
  function having(snapshot: string, file = "/p/top", run: (argv: string[]) => number = () => 0) {
    const answer = (verb: string) => {
      if (verb === "dominfo") return "State:   running\nPersistent:   yes\n";
      if (verb === "snapshot-revert") return unsupported;
      if (verb === "snapshot-dumpxml") return snapshot;
      if (verb === "dumpxml") return definition(file, "qcow2");
      return verb === "domstate" ? "shut off\n\n" : "";
    };
    const fake = answering(answer);
    const ran: string[] = [];
    const exec = async (words: string[]) => {
      const argv = withoutIsolation(words);
      if (argv[1] === "info") return { stdout: '{"virtual-size": 512}', stderr: "", exitCode: 0 };
      ran.push(argv.join(" "));
      return { stdout: "", stderr: "no", exitCode: run(argv) };
    };
    return { ...fake, answer, exec, ran, host: "h" };
  }

  test.each([
    [{}, []],
    [{ state: "running" }, ["--running"]],
    [{ state: "paused" }, ["--paused"]],
  ] as const)("with %j", async (change, options) => {
    const virsh = answering((verb) => {
      if (verb === "snapshot-dumpxml") return external;
      return verb === "domstate" ? "paused\n\n" : "";
    });
    expect(await revert({ ...input, ...change }, virsh)).toEqual({ ...input, state: "paused" });
    expect(virsh.calls).toContainEqual([
      ...["snapshot-revert", "--domain", "vm", "--snapshotname", "s1"],
      ...options,
    ]);
  });

  test("where libvirt cannot: new overlays first, then the domain off, then they are moved", async () => {
    const fake = having(external);
    expect((await revert({ ...input, state: "paused" }, fake)).state).toBe("shut off");
    const create = "qemu-img create -q -f qcow2 -u -F raw -b /p/base /p/top.reverting 512";
    expect(fake.ran).toEqual([
      create,
      expect.stringMatching(/^sh -c .*mv -f -- "\$1" "\$2" sh \/p\/top\.reverting \/p\/top$/s),
    ]);
    expect(fake.calls.slice(-3)).toEqual([
      ["destroy", "--domain", "vm"],
      ["start", "--domain", "vm", "--paused"],
      ["domstate", "--domain", "vm"],
    ]);
  });

  test("where libvirt cannot, and says so in another language: its version decides", async () => {
    const other = new HyperError(
      "virsh_failed",
      "外部スナップショットへの復帰はまだサポートされていません",
    );
    const translated = (version: string) => {
      const { exec, ran, host, ...fake } = having(external);
      const spoken = answering((verb) => {
        if (verb === "snapshot-revert") return other;
        return verb === "version" ? `Running against daemon: ${version}\n` : fake.answer(verb);
      });
      return { ...spoken, exec, ran, host };
    };
    expect((await revert(input, translated("9.0.0"))).state).toBe("shut off");
    for (const version of ["9.9.0", "11.3.0", ""]) {
      const fake = translated(version);
      await expect(revert(input, fake)).rejects.toBe(other);
      expect(fake.ran).toEqual([]);
    }
  });

  test("libvirt can, and fails after it has stopped the domain: its reason stands, with the state", async () => {
    // as 11.3 says it
    const reason =
      "unsupported configuration: source for disk 'vda' is not a regular file; refusing to generate external snapshot name";
    const states = ["running\n\n", "shut off\n\n"];
    const fake = answering((verb) => {
      if (verb === "snapshot-revert") return new HyperError("unsupported", reason);
      if (verb === "snapshot-dumpxml") return external;
      return verb === "domstate" ? `${states.shift()}` : "";
    });
    await expect(revert(input, fake)).rejects.toMatchObject({
      code: "unsupported",
      message: `${reason}; the state of the domain was running, and is shut off now`,
    });
    expect(fake.verbs()).not.toContain("destroy");
  });

  test("a new overlay that cannot be made: the domain runs on", async () => {
    const fake = having(external, "/p/top", ([program]) => (program === "qemu-img" ? 1 : 0));
    await expect(revert(input, fake)).rejects.toMatchObject({
      code: "command_failed",
      message: "qemu-img create: no",
    });
    expect(fake.verbs()).not.toContain("destroy");
    expect(fake.ran.at(-1)).toBe("rm -rf -- /p/top.reverting");
  });

  test("not the latest: its overlay is below by now, and stays", async () => {
    const fake = having(external, "/p/later");
    await expect(revert(input, fake)).rejects.toMatchObject({
      code: "in_use",
      message: "snapshot s1 is not the latest; delete the later ones first",
    });
    expect(fake.ran).toEqual([]);
  });

  test("without overlays, libvirt's reason is the reason", async () => {
    const inside = `<domainsnapshot><name>s1</name><disks><disk name='vda' snapshot='no'/></disks></domainsnapshot>`;
    await expect(revert(input, having(inside))).rejects.toBe(unsupported);
  });

  test.each([
    [{ state: "off" }, /^state: /],
    [{ snapshot_name: "-x" }, /^snapshot_name: /],
    [{ name: "x" }, /unknown key "name"/],
  ])("%j is refused", async (change, message) => {
    await expect(
      revert(
        { ...input, ...change } as never,
        answering(() => ""),
      ),
    ).rejects.toMatchObject({ code: "invalid_input", message: expect.stringMatching(message) });
  });
});

test("snapshots: parents before their children, and which one is current", async () => {
  const virsh = answering((verb, ...words) => {
    if (verb === "snapshot-list") return "a 'x'\nb\n\n";
    if (verb === "snapshot-current") return "b";
    const name = `${words.at(-1)}`;
    const parent = name === "b" ? "<parent><name>a 'x'</name></parent>" : "";
    return xmlOf(name, name === "b" ? "external" : "internal").replace(
      "<state>",
      `${parent}<state>`,
    );
  });
  const found = await snapshots({ name: "vm" }, virsh);
  expect(found).toMatchObject({
    total: 2,
    snapshots: [
      { name: "a 'x'", parent: null, current: false, location: "internal", description: null },
      { name: "b", parent: "a 'x'", current: true, location: "external" },
    ],
  });
});
