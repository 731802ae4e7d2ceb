/** POST /libvirt/disk/attach and detach: bad input, the device that virsh gets, and what a failure takes back. */
import { describe, expect, test, vi } from "vitest";
import attach from "../../../../functions/libvirt/disk/attach.ts";
import detach from "../../../../functions/libvirt/disk/detach.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

vi.mock("node:timers/promises", () => ({ setTimeout: async () => {} }));

const UUID = "11111111-1111-4111-8111-111111111111";
interface Domain {
  state?: string;
  persistent?: string;
  devices?: string;
  fails?: Record<string, HyperError>;
  pool?: string;
  /** libvirt says that it has attached, and has not. */
  lies?: boolean;
  /** What the caller gets of an attachment that takes place. */
  lost?: HyperError;
}

const TARGET = /target dev=["'](\w+)["']/;

function domain({ state = "shut off", persistent = "yes", devices = "", ...more }: Domain = {}) {
  const { fails = {}, pool = "dir", lies = false, lost } = more;
  let disks = devices;
  let volume = "";
  const fake = answering((verb, ...words) => {
    const failure = fails[`${verb} ${words.at(-1)}`] ?? fails[verb];
    if (failure) return failure;
    if (verb === "list") return `${UUID} 7\n`;
    if (verb === "dominfo")
      return `Name:           it's 7\nUUID:           ${UUID}\nState:          ${state}\nPersistent:     ${persistent}\n`;
    if (verb === "dumpxml")
      return `<domain><name>it&apos;s 7</name><devices>${disks}</devices></domain>`;
    if (verb === "pool-dumpxml") return `<pool type='${pool}'><name>default</name></pool>`;
    if (verb === "vol-create") volume = `${words[3]}`.match(/<name>(.*)<\/name>/)?.[1] ?? "";
    if (verb === "vol-dumpxml" || verb === "vol-path")
      return volume
        ? `<volume type='${pool === "dir" ? "file" : "block"}'><name>${volume}</name><capacity>1024</capacity><target><path>/p/${volume}</path></target></volume>`
        : new HyperError("not_found", "no volume");
    if (verb === "vol-delete") volume = "";
    if (verb === "attach-device" && !lies) disks += words[3];
    if (verb === "attach-device" && lost) return lost;
    if (verb === "detach-disk" && (lost || words.includes("--live")) && !lies) {
      const target = words[3];
      disks = disks.replace(/<disk.*?<\/disk>/g, (text) =>
        text.match(TARGET)?.[1] === target ? "" : text,
      );
    }
    return "";
  });
  return { ...fake, volume: () => volume };
}
const changes = (fake: ReturnType<typeof domain>) =>
  fake.calls.filter(([verb]) => /^(attach|detach|vol-create|vol-delete)/.test(`${verb}`));
const vda = "<disk><source file='/p/a'/><target dev='vda' bus='virtio'/></disk>";

describe("attach: bad input", () => {
  test.each<[string, object, RegExp]>([
    ["no source", {}, /^exactly one of size, volume and path/],
    ["two sources", { size: 1, volume: "v" }, /^exactly one of size, volume and path/],
    ["three", { size: 1, volume: "v", path: "/srv/x" }, /^exactly one of/],
    ["no size", { size: 0 }, /^size: must be more than 0/],
    ["a size without meaning", { size: "big" }, /^size: /],
    ["a path as a volume", { volume: "../x" }, /^volume: /],
    ["dots as a volume", { volume: ".." }, /^volume: /],
    ["a relative path", { path: "srv/x" }, /^path: must be an absolute path/],
    ["a path of two lines", { path: "/srv/\nx" }, /^path: /],
    ["an option for a pool", { size: 1, pool: "--all" }, /^pool: /],
    ["a strange bus", { size: 1, bus: "nvme" }, /^bus: /],
    ["a strange format", { size: 1, format: "iso" }, /^format: /],
    ["a strange cache", { size: 1, cache: "fast" }, /^cache: /],
    ["read_only as text", { size: 1, read_only: "no" }, /^read_only: /],
    ["shareable as a number", { size: 1, shareable: 1 }, /^shareable: /],
    ["a target", { size: 1, target: "vdb" }, /unknown key "target"/],
    ["a bad name", { name: "a/b", size: 1 }, /^name: /],
    ["a shared qcow2", { size: 1, shareable: true }, /^shareable: only a raw image .* qcow2/],
  ])("%s", async (_what, input, message) => {
    const fake = domain();
    const refused = attach({ name: "vm", ...input } as Parameters<typeof attach>[0], fake);
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(changes(fake)).toEqual([]);
  });

  test.each([
    [{ bus: "sata" as const, read_only: true }, "shut off", /^read_only: a sata disk/],
    [{ bus: "ide" as const, read_only: true }, "shut off", /^read_only: an? ide disk/],
    [{ bus: "sata" as const }, "running", /^bus: nothing can be plugged into the sata bus/],
    [{ bus: "ide" as const }, "paused", /^bus: nothing can be plugged into the ide bus/],
  ])("%j of a domain that is %s", async (input, state, message) => {
    const fake = domain({ state });
    await expect(attach({ name: "vm", size: 1, ...input }, fake)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
    expect(changes(fake)).toEqual([]);
  });
});

describe("attach", () => {
  test.each<[string, string, string[]]>([
    ["running", "yes", ["--live", "--config"]],
    ["paused", "no", ["--live"]],
    ["shut off", "yes", ["--config"]],
  ])("a domain that is %s (persistent: %s): %j", async (state, persistent, flags) => {
    const fake = domain({ state, persistent, devices: vda });
    const answer = await attach({ name: "7", size: "1KiB", cache: "none", read_only: true }, fake);
    expect(answer).toMatchObject({
      ...{ name: "it's 7", target: "vdb", volume: "it's 7-vdb.qcow2", path: "/p/it's 7-vdb.qcow2" },
      ...{ live: flags.includes("--live"), persistent: persistent === "yes" },
    });
    const device = `<disk type="file" device="disk"><driver name="qemu" type="qcow2" cache="none"/><source file="/p/it&apos;s 7-vdb.qcow2"/><target dev="vdb" bus="virtio"/><readonly/></disk>`;
    expect(changes(fake).at(-1)).toEqual([
      "attach-device",
      "--domain",
      UUID,
      "--file",
      device,
      ...flags,
    ]);
  });

  test("a pool of devices: raw, as a block device", async () => {
    const fake = domain({ pool: "logical" });
    const answer = await attach({ name: "7", size: 1, shareable: true, format: "raw" }, fake);
    expect(answer).toMatchObject({ format: "raw", volume: "it's 7-vda.raw", shareable: true });
    expect(changes(fake).at(-1)?.[4]).toMatch(/type="block".*<source dev="\/p\/.*<shareable\/>/);
  });

  test("scsi: a controller first, which goes again with a failure", async () => {
    const fake = domain({
      fails: { "attach-device --config": new HyperError("virsh_failed", "no") },
    });
    await expect(attach({ name: "7", size: 1, bus: "scsi" }, fake)).rejects.toThrow("no");
    const fine = domain();
    await attach({ name: "7", size: 1, bus: "scsi" }, fine);
    expect(changes(fine).map((words) => words[4])).toEqual([
      expect.stringContaining("<volume>"),
      `<controller type="scsi" index="0" model="virtio-scsi"/>`,
      expect.stringContaining('dev="sda" bus="scsi"'),
    ]);
  });

  test("a failure removes the volume", async () => {
    const fails = {
      "attach-device": new HyperError("virsh_failed", "No more available PCI slots"),
    };
    const fake = domain({ fails });
    await expect(attach({ name: "7", size: 1 }, fake)).rejects.toMatchObject({
      message: expect.stringMatching(/PCI slots/),
    });
    expect([changes(fake).map(([verb]) => verb), fake.volume()]).toEqual([
      ["vol-create", "attach-device", "vol-delete"],
      "",
    ]);
  });

  const lost = new HyperError("outcome_unknown", "the connection was lost");
  test.each<[string, string[]]>([
    ["shut off", ["--config"]],
    ["running", ["--live"]], // of the fake, whose two definitions are one
  ])(
    "attached, but nobody heard of it (%s): it is detached before its volume goes",
    async (state, flags) => {
      const fake = domain({ lost, state });
      await expect(attach({ name: "7", size: 1 }, fake)).rejects.toMatchObject({
        ...{ code: "outcome_unknown", message: "the connection was lost" },
      });
      expect(changes(fake).slice(2)).toEqual([
        ...flags.map((flag) => ["detach-disk", "--domain", UUID, "--target", "vda", flag]),
        expect.arrayContaining(["vol-delete"]),
      ]);
      expect(fake.volume()).toBe("");
    },
  );

  test("and a volume that the domain may still have stays, and is named", async () => {
    const fails = { "detach-disk --config": new HyperError("virsh_failed", "no") };
    const fake = domain({ lost, fails });
    await expect(attach({ name: "7", size: 1 }, fake)).rejects.toMatchObject({
      code: "outcome_unknown",
      message:
        "the connection was lost; left behind: volume it's 7-vda.qcow2 of pool default, which the domain may have as vda (no)",
    });
    expect(fake.volume()).not.toBe("");
  });

  test("a disk that is not there afterwards is no success", async () => {
    const fake = domain({ lies: true });
    await expect(attach({ name: "7", size: 1 }, fake)).rejects.toMatchObject({
      code: "virsh_failed",
      message: expect.stringMatching(/^virsh attached .*but the domain has no such disk/),
    });
    expect(fake.volume()).toBe("");
  });
});

describe("detach", () => {
  test.each<[string, object, RegExp]>([
    ["nothing named", {}, /^exactly one of target, volume and path/],
    ["two named", { target: "vda", path: "/x" }, /^exactly one of target/],
    ["a path as a target", { target: "/dev/vda" }, /^target: must be a disk's target/],
    ["an option as a target", { target: "--all" }, /^target: /],
    ["a relative path", { path: "x" }, /^path: /],
    ["a bad volume", { volume: "a/b" }, /^volume: /],
    ["a bad pool", { volume: "a", pool: "a/b" }, /^pool: /],
    ["remove as text", { target: "vda", remove: "yes" }, /^remove: /],
    ["the name of the others", { vm_name: "vm", target: "vda" }, /unknown key "vm_name"/],
  ])("bad input: %s", async (_what, input, message) => {
    const fake = domain({ devices: vda });
    const refused = detach({ name: "vm", ...input } as Parameters<typeof detach>[0], fake);
    await expect(refused).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringMatching(message),
    });
    expect(changes(fake)).toEqual([]);
  });

  test.each<[string, Domain, string[]]>([
    ["both", { state: "running" }, ["--live", "--config"]],
    ["transient", { state: "running", persistent: "no" }, ["--live"]],
    ["off", {}, ["--config"]],
  ])("%s", async (_what, made, flags) => {
    const fake = domain({ ...made, devices: vda });
    expect(await detach({ name: "7", target: "vda" }, fake)).toEqual({
      ...{ name: "it's 7", target: "vda", path: "/p/a" },
      ...{ live: flags.includes("--live"), persistent: flags.includes("--config") },
    });
    expect(changes(fake)).toEqual(
      flags.map((flag) => ["detach-disk", "--domain", UUID, "--target", "vda", flag]),
    );
  });

  test("a guest that does not let go was asked", async () => {
    const fake = domain({ state: "running", devices: vda, lies: true });
    expect(await detach({ name: "7", target: "vda" }, fake)).toMatchObject({ live: "requested" });
  });

  test("half of it done: the error says what", async () => {
    const fails = { "detach-disk --config": new HyperError("virsh_failed", "no") };
    const fake = domain({ state: "running", devices: vda, fails });
    await expect(detach({ name: "7", target: "vda" }, fake)).rejects.toMatchObject({
      message: "no; the running domain has lost disk vda, its definition still has it",
    });
  });

  test.each([
    ["ide", "cdrom", /cdrom\/eject takes out its medium/],
    ["sata", "disk", /^target: vda is on the sata bus/],
    ["fdc", "floppy", /shut it down first/],
  ])("a running domain keeps what is on %s", async (bus, device, message) => {
    const devices = `<disk device='${device}'><target dev='vda' bus='${bus}'/></disk>`;
    const fake = domain({ state: "running", devices });
    await expect(detach({ name: "7", target: "vda" }, fake)).rejects.toMatchObject({
      code: "unsupported",
      message: expect.stringMatching(message),
    });
    expect(changes(fake)).toEqual([]);
    await detach({ name: "7", target: "vda" }, domain({ devices }));
  });

  test("a disk that is not there names those that are", async () => {
    await expect(
      detach({ name: "7", target: "vdb" }, domain({ devices: vda })),
    ).rejects.toMatchObject({
      code: "not_found",
      message: "target: domain it's 7 has no disk vdb; its disks are vda",
    });
  });
});
