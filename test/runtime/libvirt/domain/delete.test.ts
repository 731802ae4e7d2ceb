/** Deleting a domain: what goes, what stays and why, and what a failure in the middle says. */
import { describe, expect, test } from "vitest";
import { PROCESS } from "../../../../runtime/access/caller.ts";
import { rightsByName } from "../../../../runtime/access/domain-rights.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { deleteDomain, storageSnapshot } from "../../../../runtime/libvirt/domain/delete.ts";
import { xml } from "../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../fixtures/fake.ts";
import { withoutIsolation } from "../../../fixtures/isolated.ts";

interface Machine {
  active?: boolean;
  transient?: boolean;
  /** Each disk's source and what else stands in the element; the stored ones where they differ. */
  disks?: string[];
  stored?: string[];
  metadata?: string;
}
interface World {
  machines: Record<string, Machine>;
  /** Volume → the path of its base, in the pool "images" in /images. */
  volumes?: Record<string, string>;
  /** Path → the path that it leads to. */
  links?: Record<string, string>;
  /** Snapshot → its definition, of the domain "vm". */
  snapshots?: Record<string, string>;
  /** qcow2 image → the name of its data file, as its header has it. */
  dataFiles?: Record<string, string>;
  /** Regular files of no pool, by real path → whether the login user may remove them. */
  files?: Record<string, boolean>;
  /** Verb, or verb and its object → its failure. */
  fails?: Record<string, HyperError>;
}

const FILE = (path: string, more = "") =>
  `<disk type='file'><source file='${path}'/>${more}</disk>`;
const own = FILE("/images/own");

/** The beginning of a qcow2, as the file has it. */
function header(hasDataFile: boolean) {
  const bytes = Buffer.alloc(1024);
  bytes.write("QFI\xfb", "latin1");
  bytes.writeUInt32BE(3, 4);
  bytes.writeUInt8(hasDataFile ? 4 : 0, 79);
  return bytes;
}

function world({ machines, volumes = {}, links = {}, fails = {}, ...more }: World) {
  const { snapshots = {}, dataFiles = {}, files = {} } = more;
  const stateOf = (path: string) =>
    files[path] === undefined ? "other" : files[path] ? "removable" : "denied";
  const removed: string[] = [];
  const names = Object.keys(machines);
  const fake = answering((verb, ...words) => {
    const named = words[words.indexOf("--domain") + 1] ?? "";
    const machine = machines[named] ?? {};
    const failure = fails[verb] ?? fails[`${verb} ${words.at(-1)}`];
    if (failure) return failure;
    if (verb === "list")
      return names.filter((name) => words.includes("--all") || machines[name]?.active).join("\n");
    if (verb === "dominfo")
      return `State:  ${machine.active ? "running" : "shut off"}\nPersistent:  ${machine.transient ? "no" : "yes"}\n`;
    if (verb === "dumpxml") {
      const { disks = [], stored = disks, metadata = "" } = machine;
      const devices = words.includes("--inactive") ? stored : disks;
      return `${xml`<domain><name>${named}</name><uuid>uuid of ${named}</uuid>`}<metadata>${metadata}</metadata><devices>${devices.join("")}</devices></domain>`;
    }
    if (verb === "snapshot-list") return Object.keys(named === "vm" ? snapshots : {}).join("\n");
    if (verb === "snapshot-dumpxml") return `${snapshots[`${words.at(-1)}`]}`;
    if (verb === "pool-list") return "22222222-2222-4222-8222-222222222222\n\n";
    if (verb === "pool-name") return "images\n";
    if (verb === "pool-dumpxml")
      return "<pool type='netfs'><name>images</name><target><path>/images</path></target></pool>";
    if (verb === "vol-list")
      return Object.keys(volumes)
        .map((name) => ` ${name}   /images/${name}\n`)
        .join("");
    if (verb === "vol-dumpxml") {
      const name = `${words.at(-1)}`;
      const base = volumes[name] && xml`<backingStore><path>${volumes[name]}</path></backingStore>`;
      return `${xml`<volume><name>${name}</name><capacity>1</capacity><allocation>1</allocation>
        <target><path>/images/${name}</path>${dataFiles[name] && xml`<format type="qcow2"/>`}</target>${base}</volume>`}`;
    }
    return "";
  });
  const ctx = {
    ...fake,
    exec: async (words: string[], { input = "" } = {}) => {
      const argv = withoutIsolation(words);
      const text = (stdout: string) => ({ stdout, stderr: "", exitCode: 0 });
      if (argv[2]?.includes("removable")) return text(`${argv.slice(4).map(stateOf).join("\n")}\n`);
      if (argv[2]?.includes("find -H"))
        return text(
          Object.keys(files)
            .map((path) => `r${path}\0`)
            .join(""),
        );
      if (argv[0] === "rm") {
        if (fails.rm) return { stdout: "", stderr: `${fails.rm.message}\n`, exitCode: 1 };
        removed.push(`${argv.at(-1)}`);
        return text("");
      }
      if (argv[0] === "sh")
        return {
          stdout: input
            .split("\0")
            .map(() => header(true))
            .reduce((all, one) => Buffer.concat([all, one]), Buffer.alloc(0))
            .toString("base64"),
          ...{ stderr: "", exitCode: 0 },
        };
      if (argv[0] === "ls")
        return {
          stdout: "",
          stderr: `ls: ${argv.at(-1)}: No such file or directory\n`,
          exitCode: 2,
        };
      if (argv[0] === "qemu-img") {
        const filename = `${argv.at(-1)}`;
        const data = { "data-file": dataFiles[filename.replace("/images/", "")] };
        const info = { filename, "format-specific": { data } };
        return { stdout: JSON.stringify(info), stderr: "", exitCode: 0 };
      }
      const real = input.split("\0").map((path) => `${links[path] ?? path}\0`);
      return { stdout: real.join(""), stderr: "", exitCode: 0 };
    },
    rights: rightsByName(PROCESS),
  } as unknown as Context;
  const keeper = storageSnapshot(ctx, true);
  return {
    ...fake,
    removed,
    remove: (name: string) => deleteDomain(ctx, name, keeper),
    changes: () => fake.calls.filter(([verb]) => /^(destroy|undefine|vol-delete)$/.test(`${verb}`)),
  };
}

const gone = (...paths: string[]) => ({ removed: paths, kept: [] });
const kept = (path: string, reason: RegExp) => ({
  removed: [],
  kept: [{ path, reason: expect.stringMatching(reason) }],
});

describe("a domain's own volumes", () => {
  test.each<[string, Partial<World> & { disks: string[] }, object]>([
    ["a volume in a pool", { disks: [own], volumes: { own: "" } }, gone("/images/own")],
    [
      "by pool and name",
      {
        disks: ["<disk type='volume'><source pool='images' volume='own'/></disk>"],
        volumes: { own: "" },
      },
      gone("/images/own"),
    ],
    [
      "through a link",
      { disks: [FILE("/link")], volumes: { own: "" }, links: { "/link": "/images/own" } },
      gone("/images/own"),
    ],
    ["outside any pool", { disks: [own] }, kept("/images/own", /no active pool/)],
    [
      "a CD-ROM",
      {
        disks: ["<disk device='cdrom'><source file='/images/own'/></disk>"],
        volumes: { own: "" },
      },
      kept("/images/own", /CD-ROM/),
    ],
    [
      "read-only",
      { disks: [FILE("/images/own", "<readonly/>")], volumes: { own: "" } },
      kept("/images/own", /read-only/),
    ],
    [
      "shareable",
      { disks: [FILE("/images/own", "<shareable/>")], volumes: { own: "" } },
      kept("/images/own", /shared/),
    ],
    [
      "another domain's too",
      { disks: [own], volumes: { own: "" }, machines: { other: { disks: [own] } } },
      kept("/images/own", /domain other uses it/),
    ],
    [
      "another domain's too, by another name of the file",
      {
        disks: [own],
        volumes: { own: "" },
        machines: { other: { disks: [FILE("/link")] } },
        links: { "/link": "/images/own" },
      },
      kept("/images/own", /domain other uses it/),
    ],
    [
      "another domain's too, from its next start",
      {
        disks: [own],
        volumes: { own: "" },
        machines: { other: { active: true, disks: [], stored: [own] } },
      },
      kept("/images/own", /domain other uses it/),
    ],
    [
      "a base that it shares",
      {
        disks: [FILE("/images/own", "<shareable/>")],
        volumes: { own: "", child: "/images/own" },
      },
      kept("/images/own", /shared/),
    ],
    [
      "below the disk of a domain that is off, however deep",
      {
        disks: [FILE("/images/top")],
        volumes: { top: "/images/middle", middle: "/images/own", own: "" },
      },
      {
        removed: ["/images/top"],
        kept: ["/images/middle", "/images/own"].flatMap((path) => kept(path, /below/).kept),
      },
    ],
    ["twice the domain's", { disks: [own, own], volumes: { own: "" } }, gone("/images/own")],
    [
      "below the domain's disk",
      {
        disks: [
          FILE(
            "/images/top",
            "<backingStore><source file='/images/own'/><backingStore/></backingStore>",
          ),
        ],
        volumes: { top: "/images/own", own: "" },
      },
      { removed: ["/images/top"], kept: kept("/images/own", /below/).kept },
    ],
    ["no disk, or an empty drive", { disks: ["<disk device='cdrom'/>"] }, gone()],
  ])("%s", async (_what, { disks, machines = {}, ...rest }, expected) => {
    const { remove, calls } = world({ machines: { vm: { disks }, ...machines }, ...rest });
    expect(await remove("vm")).toEqual(expected);
    expect(calls.filter(([verb]) => verb === "vol-delete").length).toBe(
      (expected as { removed: string[] }).removed.length,
    );
  });

  test("a domain deleted before in this batch uses nothing any more", async () => {
    const machines = { a: { disks: [own] }, b: { disks: [own] } };
    const { remove } = world({ machines, volumes: { own: "" } });
    expect(await remove("a")).toEqual(kept("/images/own", /domain b uses it/));
    expect(await remove("b")).toEqual(gone("/images/own"));
  });

  test("a base goes after its last child, in the same batch, too", async () => {
    const machines = { base: { disks: [own] }, child: { disks: [FILE("/images/child")] } };
    const { remove, changes } = world({ machines, volumes: { own: "", child: "/images/own" } });
    const refused = {
      code: "in_use",
      message: "domain base is the base of /images/child, which must go first",
      details: { children: ["/images/child"] },
    };
    await expect(remove("base")).rejects.toMatchObject(refused);
    expect(changes()).toEqual([]);
    expect(await remove("child")).toEqual({
      removed: ["/images/child"],
      kept: [expect.objectContaining({ path: "/images/own" })],
    });
    expect(await remove("base")).toEqual(gone("/images/own"));
  });

  test("one reading serves a batch", async () => {
    const { remove, calls } = world({ machines: { a: {}, b: {}, c: {} } });
    await Promise.all(["a", "b", "c"].map(remove));
    expect(calls.filter(([verb]) => verb === "pool-list").length).toBe(1);
  });
});

describe("a file that no pool has", () => {
  const A = "/srv/vms/a";
  test.each<[string, Partial<World> & { disks: string[] }, object]>([
    ["in an allowed folder", { disks: [FILE(A)], files: { [A]: true } }, gone(A)],
    [
      "in a sub-folder of a pool",
      { disks: [FILE("/images/vm/a")], files: { "/images/vm/a": true } },
      gone("/images/vm/a"),
    ],
    [
      "through a link",
      { disks: [FILE("/etc/link")], files: { [A]: true }, links: { "/etc/link": A } },
      gone(A),
    ],
    [
      "twice, by two names",
      { disks: [FILE("/link"), FILE(A)], files: { [A]: true }, links: { "/link": A } },
      gone(A),
    ],
    [
      "in no allowed folder, through a link in one",
      { disks: [FILE(A)], files: { "/etc/a": true }, links: { [A]: "/etc/a" } },
      kept(A, /^it is in no active pool$/),
    ],
    [
      "in a folder whose name only begins like one",
      { disks: [FILE("/srv2/a")], files: { "/srv2/a": true } },
      kept("/srv2/a", /^it is in no active pool$/),
    ],
    ["no regular file", { disks: [FILE(A)] }, kept(A, /^it is in no active pool$/)],
    [
      "that the login user may not remove",
      { disks: [FILE(A)], files: { [A]: false } },
      kept(A, /^it is in no active pool, and the login user of .* \(permission denied\)$/),
    ],
    [
      "that cannot be removed",
      { disks: [FILE(A)], files: { [A]: true }, fails: { rm: new HyperError("internal", "busy") } },
      kept(A, /^it could not be removed: busy$/),
    ],
    [
      "another domain's too",
      {
        disks: [FILE(A)],
        files: { [A]: true },
        machines: { other: { active: true, disks: [], stored: [FILE("/link")] } },
        links: { "/link": A },
      },
      kept(A, /^domain other uses it$/),
    ],
    [
      "read-only",
      { disks: [FILE(A, "<readonly/>")], files: { [A]: true } },
      kept(A, /^it is a CD-ROM, read-only or shared$/),
    ],
    [
      "below the domain's disk, which goes",
      {
        disks: [FILE(A, "<backingStore><source file='/srv/b'/></backingStore>")],
        files: { [A]: true, "/srv/b": true },
      },
      { removed: [A], kept: kept("/srv/b", /^it is below/).kept },
    ],
  ])("%s", async (_what, { disks, machines = {}, ...rest }, expected) => {
    const { remove, removed } = world({ machines: { vm: { disks }, ...machines }, ...rest });
    expect(await remove("vm")).toEqual(expected);
    expect(removed).toEqual((expected as { removed: string[] }).removed);
  });

  test("the overlay of a linked clone stands on it: the base stays", async () => {
    const { remove } = world({
      machines: { vm: { disks: [FILE(A)] } },
      volumes: { child: A },
      files: { [A]: true },
    });
    await expect(remove("vm")).rejects.toMatchObject({ code: "in_use" });
  });
});

describe("after external snapshots", () => {
  const DISKS = (path: string) => `<devices>${FILE(path)}</devices>`;
  const snapshot = (made: string, before: string) =>
    `<domainsnapshot><disks><disk name='vda' snapshot='external'><source file='${made}'/></disk></disks><domain>${DISKS(before)}</domain></domainsnapshot>`;
  const removing = (more: Partial<World>, top = "/images/e2") =>
    world({
      machines: { vm: { disks: [FILE(top)] }, ...more.machines },
      volumes: {
        base: "",
        own: "/images/base",
        e1: "/images/own",
        e2: "/images/e1",
        ...more.volumes,
      },
      snapshots: more.snapshots ?? {
        e1: snapshot("/images/e1", "/images/own"),
        e2: snapshot("/images/e2", "/images/e1"),
      },
    }).remove("vm");

  test("the overlays and the original image go; the base of a linked clone stays", async () => {
    const { removed, kept } = (await removing({})) as { removed: string[]; kept: object[] };
    expect(removed.sort()).toEqual(["/images/e1", "/images/e2", "/images/own"]);
    expect(kept).toEqual([{ path: "/images/base", reason: expect.stringMatching(/below/) }]);
  });

  test("after a revert to an earlier one, the overlays of the branch go as well", async () => {
    const volumes = { now: "/images/own" };
    const result = (await removing({ volumes }, "/images/now")) as { removed: string[] };
    expect(result.removed.sort()).toEqual([
      "/images/e1",
      "/images/e2",
      "/images/now",
      "/images/own",
    ]);
  });

  test("an image that a linked clone stands on stays, with all that is below it", async () => {
    const { removed, kept } = (await removing({ volumes: { clone: "/images/e1" } })) as {
      removed: string[];
      kept: { path: string; reason: string }[];
    };
    expect(removed).toEqual(["/images/e2"]);
    expect(Object.fromEntries(kept.map(({ path, reason }) => [path, reason]))).toEqual({
      "/images/e1": "it is the base of /images/clone",
      "/images/own": "it is the base of /images/e1",
      "/images/base": expect.stringMatching(/below/),
    });
  });

  test("another domain's disk stays, though a snapshot names it", async () => {
    const machines = { other: { disks: [FILE("/images/own")] } };
    const { kept } = (await removing({ machines })) as { kept: object[] };
    expect(kept).toContainEqual({ path: "/images/own", reason: "domain other uses it" });
  });

  test("a disk that was detached since stays, as does what internal snapshots name", async () => {
    const internal = `<domainsnapshot><disks><disk name='vda' snapshot='internal'/></disks><domain>${DISKS("/images/own")}</domain></domainsnapshot>`;
    expect(await removing({ snapshots: { s: internal } })).toMatchObject({
      removed: ["/images/e2"],
    });
    const detached = { data: "", ...{} };
    const snapshots = { e2: snapshot("/images/e2", "/images/data") };
    const result = (await removing({ volumes: detached, snapshots })) as { removed: string[] };
    expect(result.removed).toEqual(["/images/e2"]);
  });

  test("snapshots that cannot be read: nothing is touched", async () => {
    const { remove, changes } = world({
      machines: { vm: { disks: [own] } },
      volumes: { own: "" },
      fails: { "snapshot-list": new HyperError("virsh_failed", "no") },
    });
    await expect(remove("vm")).rejects.toThrow("no");
    expect(changes()).toEqual([]);
  });
});

describe("a volume whose data is in another file", () => {
  const removing = (file: string, more: Partial<World> = {}) =>
    world({
      machines: { vm: { disks: [own] }, ...more.machines },
      volumes: { own: "", ...more.volumes },
      dataFiles: { own: file, ...more.dataFiles },
    }).remove("vm");

  test.each(["own.data", "/images/own.data"])("takes that file along: %s", async (file) => {
    expect(await removing(file, { volumes: { "own.data": "" } })).toEqual(
      gone("/images/own", "/images/own.data"),
    );
  });

  test.each<[string, string, Partial<World>, RegExp]>([
    [
      "another image has it too",
      "d",
      { volumes: { d: "", two: "" }, dataFiles: { two: "d" } },
      /^it held the data of \/images\/own, and \/images\/two uses it$/,
    ],
    [
      "a domain uses it",
      "d",
      { volumes: { d: "" }, machines: { other: { disks: [FILE("/images/d")] } } },
      /domain other uses it$/,
    ],
  ])("names the file that stays: %s", async (_why, file, more, reason) => {
    expect(await removing(file, more)).toEqual({
      removed: ["/images/own"],
      kept: [{ path: "/images/d", reason: expect.stringMatching(reason) }],
    });
  });

  test("the file alone is kept while the image is there", async () => {
    const machines = { vm: { disks: [FILE("/images/d")] } };
    expect(await removing("d", { volumes: { d: "" }, machines })).toEqual(
      kept("/images/d", /^it holds the data of \/images\/own$/),
    );
  });
});

describe("the order, and what a failure says", () => {
  const UNDEFINE = [
    "undefine",
    "--domain",
    "vm",
    "--nvram",
    "--managed-save",
    "--snapshots-metadata",
    "--checkpoints-metadata",
  ];
  const DESTROY = ["destroy", "--domain", "vm"];
  const DELETE = ["vol-delete", "--pool", "images", "--vol", "own"];
  const volumes = { own: "" };
  const having = (machine: Machine, fails = {}) =>
    world({ machines: { vm: { disks: [own], ...machine } }, volumes, fails });

  test.each<[string, Machine, string[][]]>([
    ["shut off", {}, [UNDEFINE, DELETE]],
    ["running", { active: true }, [DESTROY, UNDEFINE, DELETE]],
    ["transient", { active: true, transient: true }, [DESTROY, DELETE]],
  ])("%s", async (_what, machine, commands) => {
    const { remove, changes } = having(machine);
    await remove("vm");
    expect(changes()).toEqual(commands);
  });

  test("one that does not exist: nothing is touched", async () => {
    const { remove, changes } = having({}, { dominfo: new HyperError("not_found", "no") });
    await expect(remove("vm")).rejects.toMatchObject({ code: "not_found" });
    expect(changes()).toEqual([]);
  });

  test.each(["pool-list", "vol-list", "list", "dumpxml other", "vol-dumpxml child"])(
    "what stands on what cannot be read (%s): nothing is touched",
    async (command) => {
      const { remove, changes } = world({
        machines: { vm: { disks: [own] }, other: { disks: [own] } },
        volumes: { own: "", child: "/images/top" },
        fails: { [command]: new HyperError("virsh_failed", "no") },
      });
      await expect(remove("vm")).rejects.toThrow("no");
      expect(changes()).toEqual([]);
    },
  );

  test("what has gone meanwhile stands on nothing", async () => {
    const { remove } = world({
      machines: { vm: { disks: [own] }, other: { disks: [own] } },
      volumes: { own: "", child: "/images/own" },
      fails: {
        "dumpxml other": new HyperError("not_found", "gone"),
        "vol-dumpxml child": new HyperError("not_found", "gone"),
      },
    });
    expect(await remove("vm")).toEqual(gone("/images/own"));
  });

  test("one that cannot be switched off keeps everything", async () => {
    const { remove, changes } = having(
      { active: true },
      { destroy: new HyperError("timed_out", "no") },
    );
    await expect(remove("vm")).rejects.toMatchObject({ code: "timed_out" });
    expect(changes()).toEqual([DESTROY]);
  });

  test.each([
    [true, "no; it was switched off and is still defined"],
    [false, "no"],
  ])("one that stays defined (running: %s) keeps its volumes", async (active, message) => {
    const { remove, changes } = having(
      { active },
      { undefine: new HyperError("virsh_failed", "no") },
    );
    await expect(remove("vm")).rejects.toMatchObject({ message });
    expect(changes().map(([verb]) => verb)).not.toContain("vol-delete");
  });

  test("a volume that cannot be removed: the answer says what is left", async () => {
    const { remove } = having({}, { "vol-delete": new HyperError("permission_denied", "no") });
    await expect(remove("vm")).rejects.toMatchObject({
      code: "permission_denied",
      message: "the domain is deleted, but its volume /images/own is left: no",
      details: { removed: [], kept: [] },
    });
  });
});

describe("the seed of its cloud-init", () => {
  const drive = (file: string, target = "sda") =>
    `<disk device='cdrom' type='file'><source file='/images/${file}'/><target dev='${target}'/><readonly/></disk>`;
  const mark = (domain = "uuid of vm", volume = "seed") =>
    `<hypersdk:seed xmlns:hypersdk='urn:hypersdk:seed:1' domain='${domain}' pool='images' volume='${volume}' path='/images/${volume}' target='sda'/>`;
  const volumes = { seed: "", tools: "", own: "" };
  const stays = (file: string, reason: RegExp) => ({
    path: `/images/${file}`,
    reason: expect.stringMatching(reason),
  });

  test.each<[string, Machine, string[], object[]]>([
    ["goes with it", { disks: [own, drive("seed")], metadata: mark() }, ["own", "seed"], []],
    [
      "another CD-ROM stays",
      { disks: [drive("seed"), drive("tools", "sdb")], metadata: mark() },
      ["seed"],
      [stays("tools", /CD-ROM/)],
    ],
    ["without the mark", { disks: [drive("seed")] }, [], [stays("seed", /CD-ROM/)]],
    [
      "with the mark of another domain",
      { disks: [drive("seed")], metadata: mark("x") },
      [],
      [stays("seed", /CD-ROM/)],
    ],
    [
      "in another drive",
      { disks: [drive("seed", "sdb")], metadata: mark() },
      [],
      [stays("seed", /CD-ROM/)],
    ],
    [
      "ejected",
      { disks: [own], metadata: mark() },
      ["own"],
      [stays("seed", /in no drive of it any more/)],
    ],
    [
      "a mark of a volume that is gone",
      { disks: [own], metadata: mark(undefined, "past") },
      ["own"],
      [],
    ],
  ])("%s", async (_, vm, removed, left) => {
    const { remove } = world({ machines: { vm }, volumes });
    const result = await remove("vm");
    expect(result?.removed.sort()).toEqual(removed.map((name) => `/images/${name}`));
    expect(result?.kept).toEqual(left);
  });

  test("stays while another domain uses it", async () => {
    const vm = { disks: [drive("seed")], metadata: mark() };
    const { remove } = world({ machines: { vm, other: { disks: [drive("seed")] } }, volumes });
    expect(await remove("vm")).toEqual({
      removed: [],
      kept: [stays("seed", /^domain other uses it$/)],
    });
  });
});
