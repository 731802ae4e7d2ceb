/** The way of a creation: what is looked at first, and what is removed when a step fails. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { createDomain } from "../../../../runtime/libvirt/create/create.ts";
import { DomainWish } from "../../../../runtime/libvirt/create/wish.ts";
import { type Changes, creating } from "../../../fixtures/creating.ts";

const NIC = "52:54:00:00:00:09";
const other = (inner: string) =>
  `<domain><name>other</name><uuid>00000000-0000-4000-8000-000000000000</uuid><devices>${inner}</devices></domain>`;

async function create(wish: object, changes: Changes = {}, madeHere = false) {
  const fake = creating(changes);
  const parsed = DomainWish.parse({ name: "web", ...wish });
  const creation = createDomain(fake.context, parsed, { madeHere });
  const outcome = await creation.catch((error: HyperError) => error);
  return { ...fake, outcome };
}

const MAKING = /^(vol-create|define|start|autostart|vol-delete|undefine)$/;

test("disks first, then the definition, then the start", async () => {
  const wish = { disks: [{ size: 1 }, { size: 2, bus: "scsi" }], start: true, autostart: true };
  const { outcome, calls, made } = await create(wish);
  expect(outcome).toMatchObject({
    ...{ name: "web", started: true, autostart: true, virt_type: "kvm", reasons: {} },
    disks: [
      { target: "vda", pool: "default", volume: "web.qcow2", path: "/pool/web.qcow2", made: true },
      { target: "sda", pool: "default", volume: "web-sda.qcow2", made: true },
    ],
  });
  const verbs = calls.map(([verb]) => `${verb}`).filter((verb) => MAKING.test(verb));
  expect(verbs).toEqual(["vol-create", "vol-create", "define", "autostart", "start"]);
  expect([...made.values()].join()).toMatch(/<capacity unit="bytes">1073741824<.*>2147483648</s);
});

test("a pool whose volumes are devices: raw, without an ending, and all of the space", async () => {
  const small = { size: "500KiB", pool: "lvm" };
  const { outcome, defined } = await create({ disks: [small] });
  expect(outcome).toMatchObject({
    disks: [{ format: "raw", volume: "web", path: "/dev/lvm/web", pool: "lvm" }],
  });
  expect([...defined.values()][0]).toContain('<source dev="/dev/lvm/web"/>');
  const large = await create({ disks: [{ size: 1, pool: "lvm" }] });
  expect(large.outcome).toMatchObject({ code: "no_space" });
  expect(`${large.outcome}`).toMatch(
    /disks\[0\]\.size: pool lvm has 1 MiB left, and 1024 MiB are needed/,
  );
  const overlay = await create({ disks: [{ ...small, format: "qcow2" }] });
  expect(`${overlay.outcome}`).toMatch(
    /disks\[0\]\.format: .* pool lvm, of type logical, cannot be/,
  );
});

describe("a step that fails removes what was made before it", () => {
  const failing = (verb: string, nth = 1) => {
    let count = 0;
    return (called: string) =>
      called === verb && ++count === nth
        ? new HyperError("virsh_failed", `${verb} failed`)
        : undefined;
  };
  test.each([
    ["vol-create", 1],
    ["vol-create", 2],
    ["define", 1],
    ["autostart", 1],
    ["start", 1],
  ])("%s, the time %i", async (verb, nth) => {
    const wish = { disks: [{ size: 1 }, { size: 1 }], start: true, autostart: true };
    const { outcome, made, defined } = await create(wish, { answer: failing(verb, nth) });
    expect(outcome).toBeInstanceOf(HyperError);
    expect(`${outcome}`).toContain(`${verb} failed`);
    if (verb === "vol-create") expect(`${outcome}`).toContain(`disks[${nth - 1}]: `);
    expect([made.size, defined.size]).toEqual([0, 0]);
  });

  test("a caller who has gone, too", async () => {
    const fake = creating({
      answer(verb) {
        if (verb === "define") fake.caller.abort();
        return undefined;
      },
    });
    const wish = DomainWish.parse({ name: "web", disks: [{ size: 1 }] });
    await expect(createDomain(fake.context, wish)).rejects.toMatchObject({ code: "cancelled" });
    expect([fake.made.size, fake.defined.size]).toEqual([0, 0]);
  });
});

test.each([
  ["memory", '<memory unit="MiB">2048', '<memory unit="MiB">1024'],
  ["vcpus", "<vcpu>2", "<vcpu>1"],
  ["machine", "pc-q35-7.2", "pc-q35-7.1"],
  ["cpu", 'mode="host-passthrough"', 'mode="host-model"'],
  ["disks", 'bus="virtio"/>', 'bus="sata"/>'],
  ["networks", '<model type="virtio"/>\n    </interface>', '<model type="e1000"/></interface>'],
  ["boot", '<boot dev="hd"/>', ""],
  ["graphics", '<graphics type="vnc"', '<graphics type="spice"'],
])("libvirt takes another %s: nothing stays", async (field, from, to) => {
  const keeps = (text: string) => {
    expect(text).toContain(from);
    return text.replace(from, to);
  };
  const { outcome, made, defined } = await create({ disks: [{ size: 1 }] }, { keeps });
  expect(outcome).toMatchObject({ code: "unsupported" });
  expect(`${outcome}`).toContain(`${field}: `);
  expect([made.size, defined.size]).toEqual([0, 0]);
});

describe("what another domain has", () => {
  const nic = `<interface type='network'><mac address='52:54:00:00:00:09'/></interface>`;

  test("its MAC address, before anything is made", async () => {
    const { outcome, verbs } = await create(
      { networks: [{ mac: NIC }] },
      { domains: { other: other(nic) } },
    );
    expect(`${outcome}`).toContain("networks[0].mac: domain other has 52:54:00:00:00:09 already");
    expect(verbs()).not.toContain("define");
  });

  test("one that it got meanwhile", async () => {
    let isThere = false;
    const { outcome, defined } = await create(
      { networks: [{ mac: NIC }] },
      {
        domains: { other: other("<interface/>") },
        answer(verb, ...words) {
          if (verb === "define") isThere = true;
          const asked = words[1] === "00000000-0000-4000-8000-000000000000";
          return verb === "dumpxml" && asked && isThere ? other(nic) : undefined;
        },
      },
    );
    expect(outcome).toMatchObject({ code: "in_use" });
    expect(defined.size).toBe(0);
  });

  test("a name", async () => {
    const { outcome, verbs } = await create({ name: "other" }, { domains: { other: other("") } });
    expect(outcome).toMatchObject({
      code: "already_exists",
      message: "name: domain 'other' already exists",
    });
    expect(verbs().filter((verb) => MAKING.test(`${verb}`))).toEqual([]);
  });
});

describe("cloud_init", () => {
  const cloud_init = { hostname: "web-1" };
  const disks = [{ size: "500KiB", pool: "lvm" }];
  const seed = { pool: "lvm", volume: "web-seed.iso", path: "/dev/lvm/web-seed.iso" };
  /** Volumes as libvirt tells them, once they are made. */
  const answer = (verb: string, ...words: string[]) =>
    verb === "vol-dumpxml" && words.at(-1) === "web-seed.iso"
      ? `<volume type="block"><name>web-seed.iso</name><target><path>/dev/lvm/web-seed.iso</path></target></volume>`
      : undefined;

  test("is a volume beside the first disk, in a drive of its own", async () => {
    const { outcome, defined, made } = await create({ disks, cloud_init }, { answer });
    expect(outcome).toMatchObject({
      seed,
      disks: [
        { target: "vda", made: true },
        { target: "sda", device: "cdrom", bus: "scsi", path: seed.path, made: false },
      ],
      boot: ["disk"],
    });
    expect([...made.keys()]).toEqual(["lvm/web", "lvm/web-seed.iso"]);
    expect([...defined.values()][0]).toContain("<hypersdk:seed");
  });

  test("goes when the start fails", async () => {
    const failing: Changes["answer"] = (verb, ...words) =>
      verb === "start" ? new HyperError("virsh_failed", "no") : answer(verb, ...words);
    const wish = { disks, cloud_init, start: true };
    const { outcome, made, defined } = await create(wish, { answer: failing });
    expect(outcome).toMatchObject({ code: "virsh_failed" });
    expect([made.size, defined.size]).toEqual([0, 0]);
  });

  test.each([
    [{ seed_pool: "none" }, /^seed_pool: .*'none'/],
    [
      { wait: { for: "ssh" as const }, start: true, networks: [] },
      /^wait: the domain has no network/,
    ],
  ])("%j is refused before anything is made", async (wish, text) => {
    const { outcome, verbs } = await create({ disks, cloud_init, ...wish }, { answer });
    expect((outcome as HyperError).message).toMatch(text);
    expect(verbs().filter((verb) => MAKING.test(`${verb}`))).toEqual([]);
  });

  test("a seed that another domain has left", async () => {
    const taken: Changes["answer"] = (verb, ...words) =>
      verb === "vol-path" && words.at(-1) === "web-seed.iso"
        ? "/dev/lvm/web-seed.iso\n"
        : undefined;
    const { outcome } = await create({ disks, cloud_init }, { answer: taken });
    expect(`${outcome}`).toContain("cloud_init: volume web-seed.iso of pool lvm exists already");
  });
});

test.each(["fd", "qcow2", "raw"])(
  "firmware variables that another domain of the name has left: %s",
  async (format) => {
    const run = (argv: string[]) =>
      argv[0] === "ls" && argv.at(-1)?.endsWith(`/web_VARS.${format}`)
        ? { exitCode: 0, stderr: "" }
        : undefined;
    const { outcome } = await create({ firmware: "uefi" }, { run });
    expect(`${outcome}`).toMatch(
      /name: another domain 'web' has left .*web_VARS\.(fd|qcow2|raw); remove the file first/,
    );
    expect((await create({ firmware: "bios" }, { run })).outcome).toMatchObject({
      firmware: "bios",
    });
  },
);

test.each([
  ["as text", "<nvram template='/t.fd'>/var/lib/libvirt/qemu/nvram/web_VARS.fd</nvram>"],
  ["as a source", "<nvram><source file='/var/lib/libvirt/qemu/nvram/web_VARS.fd'/></nvram>"],
])(
  "firmware variables of a domain that had the name before it was renamed: %s",
  async (_, nvram) => {
    const run = (argv: string[]) =>
      argv[0] === "ls" && argv.at(-1)?.endsWith("/web_VARS.fd")
        ? { exitCode: 0, stderr: "" }
        : undefined;
    const domains = { other: other("").replace("<devices>", `<os>${nvram}</os><devices>`) };
    const { outcome } = await create({ firmware: "uefi" }, { run, domains });
    expect(outcome).toMatchObject({ code: "in_use", details: { domains: ["other"] } });
    expect(`${outcome}`).toMatch(/name: domain other uses .*web_VARS\.fd; take another name$/);
  },
);

test("an image that cannot be read may stand on a volume that was there, and not on one made by the same operation", async () => {
  const disk = `<disk type='file' device='disk'><driver type='qcow2'/><source file='/closed/a.qcow2'/><target dev='vda'/></disk>`;
  const volume = `<volume type="block"><name>web.raw</name><capacity unit="bytes">1048576</capacity><allocation unit="bytes">0</allocation><target><path>/pool/web.raw</path><format type="raw"/></target></volume>`;
  const changes: Changes = {
    domains: { other: other(disk) },
    answer: (verb) => (verb === "vol-dumpxml" ? volume : undefined),
    run: (argv) =>
      argv.some((word) => word.includes("/closed/a.qcow2"))
        ? { exitCode: 1, stderr: "Could not open '/closed/a.qcow2': Permission denied\n" }
        : undefined,
  };
  const wish = { disks: [{ volume: "web.raw" }] };
  const there = (await create(wish, changes)).outcome;
  expect(`${there}`).toContain("/pool/web.raw may be the base of /closed/a.qcow2 of domain other");
  const made = (await create(wish, changes, true)).outcome;
  expect(made).toMatchObject({ disks: [{ path: "/pool/web.raw", made: false }] });
});
