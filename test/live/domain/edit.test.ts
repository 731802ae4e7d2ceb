/** POST /libvirt/domain/edit: off, running and transient, looked at with virsh. */
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { define, start, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until, virsh } from "../../fixtures/live/virsh.ts";
import { KERNEL_OPTIONS, tinyGuest } from "../../lab/guest.ts";

const { test, server } = labTest({ start, tidy: wipe });

interface Guest {
  /** Boots the tiny guest, which follows its balloon. */
  boots?: boolean;
  vcpu?: string;
  memory?: string;
  balloon?: string;
  devices?: string;
  cpu?: string;
}

const CONSOLE = "/run/edit-console";

async function guest(name: string, options: Guest = {}) {
  const { boots, vcpu = "<vcpu>1</vcpu>", balloon = "virtio", devices = "", cpu = "" } = options;
  const { memory = "<memory unit='MiB'>128</memory>" } = options;
  const { kernel, initrd } = await tinyGuest();
  const os = boots
    ? `<kernel>${kernel}</kernel><initrd>${initrd}</initrd><cmdline>${KERNEL_OPTIONS}</cmdline>`
    : "";
  await define(`<domain type='qemu'><name>${name}</name>${memory}${vcpu}${cpu}
    <os><type arch='x86_64' machine='q35'>hvm</type>${os}</os><features><acpi/></features>
    <devices><controller type='usb' model='none'/><memballoon model='${balloon}'/>${devices}
    ${boots ? `<serial type='file'><source path='${CONSOLE}'/></serial>` : ""}</devices></domain>`);
  if (!boots) return;
  await virsh("start", name);
  await until("the guest boots", () => readFileSync(CONSOLE, "utf8").includes("READY"), 60);
}

const edit = (name: string, input: object) =>
  server.post("/libvirt/domain/edit", { name, ...input });
const stored = (name = "vm") => virsh("dumpxml", name, "--inactive", "--security-info");
const lines = (text: string, pattern: RegExp) =>
  text
    .split("\n")
    .filter((line) => pattern.test(line))
    .map((line) => line.trim());
const sizes = async (...flags: string[]) =>
  lines(
    await virsh("dumpxml", "vm", ...flags),
    /<(memory|currentMemory|vcpu) (unit|placement)/,
  ).map((line) => `${line.match(/current='\d+'/)?.[0] ?? ""} ${line.match(/>(\d+)</)?.[1]}`.trim());
const of = (changes: { field: string }[], field: string) =>
  changes.find((change) => change.field === field);

test("off: everything is stored, and nothing else changes", async () => {
  await guest("vm", {
    devices: `<graphics type='vnc' passwd='secret'/><disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>`,
  });
  const before = await stored();
  const wish = {
    ...{ memory: 256, max_memory: 512, vcpus: 2, max_vcpus: 4, autostart: true },
    ...{ title: `a "title" <&>`, description: "two\nlines & more", boot: ["cdrom", "disk"] },
  };
  const answer = await edit("vm", wish);
  const data = expectSuccess(answer);
  expect(data).toMatchObject({ name: "vm", restart_needed: false });
  expect(data.uuid).toBe((await virsh("domuuid", "vm")).trim());
  expect(data.changes.length).toBe(8);
  for (const change of data.changes) {
    expect(change.persistent).toBe(true);
    expect(change.value).toEqual(wish[change.field as keyof typeof wish]);
    if (change.field !== "autostart")
      expect(change).toMatchObject({ live: false, reason: "the domain is off" });
  }
  const after = await stored();
  expect(lines(after, /memory |Memory |<vcpu/)).toEqual([
    "<memory unit='KiB'>524288</memory>",
    "<currentMemory unit='KiB'>262144</currentMemory>",
    "<vcpu placement='static' current='2'>4</vcpu>",
  ]);
  expect(lines(after, /<boot /)).toEqual(["<boot dev='cdrom'/>", "<boot dev='hd'/>"]);
  expect((await virsh("desc", "vm", "--title")).trim()).toBe(`a "title" <&>`);
  expect(await virsh("desc", "vm")).toContain("two\nlines & more");
  expect(await virsh("dominfo", "vm")).toMatch(/Autostart: +enable/);
  expect(after).toContain("passwd='secret'");
  // and back again
  const texts = { title: "", description: "", autostart: false, boot: ["disk"] };
  expectSuccess(
    await edit("vm", { memory: 128, max_memory: 128, vcpus: 1, max_vcpus: 1, ...texts }),
  );
  expect(await stored()).toBe(before);
  expect(await virsh("dominfo", "vm")).toMatch(/Autostart: +disable/);
});

test("off: a maximum moves along, a topology goes only where it would not fit", async () => {
  await guest("vm", {
    vcpu: "<vcpu current='2'>4</vcpu>",
    cpu: "<cpu><topology sockets='1' dies='1' cores='4' threads='1'/></cpu>",
  });
  const more = expectSuccess(await edit("vm", { memory: 192, vcpus: 3 }));
  expect(more.changes.map(({ field }: { field: string }) => field)).toEqual([
    "memory",
    "vcpus",
    "max_memory",
  ]);
  expect(await sizes("--inactive")).toEqual(["196608", "196608", "current='3' 4"]);
  expect(await stored()).toContain("cores='4'");
  expectSuccess(await edit("vm", { max_memory: 256 }));
  expectSuccess(await edit("vm", { memory: 100, vcpus: 8 }));
  expect(await sizes("--inactive")).toEqual(["262144", "102400", "8"]);
  expect(await stored()).not.toContain("topology");
});

test("boot: single devices, and back to kinds", async () => {
  await virsh("vol-create-as", "default", "d.qcow2", "10M", "--format", "qcow2");
  await guest("vm", {
    devices: `<disk type='file'><driver name='qemu' type='qcow2'/><source file='/var/lib/libvirt/images/d.qcow2'/><target dev='vda' bus='virtio'/></disk>
      <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
      <interface type='user'><mac address='52:54:00:00:00:01'/></interface>`,
  });
  const data = expectSuccess(await edit("vm", { boot: ["52:54:00:00:00:01", "VDA"] }));
  expect(of(data.changes, "boot")).toMatchObject({ value: ["52:54:00:00:00:01", "vda"] });
  const text = await stored();
  expect(text).not.toContain("<boot dev");
  expect(text).toMatch(/vda[\s\S]*<boot order='2'\/>[\s\S]*00:01[\s\S]*<boot order='1'\/>/);
  const before = await stored();
  expectError(
    await edit("vm", { boot: ["vda", "vdz"] }),
    400,
    "invalid_input",
    /^boot\[1\]: .*vdz.* has vda, sda, 52:54/,
  );
  expectError(
    await edit("vm", { boot: ["disk", "vda"] }),
    400,
    "invalid_input",
    /^boot: .*mixture/,
  );
  expect(await stored()).toBe(before);
  expectSuccess(await edit("vm", { boot: ["disk", "network"] }));
  expect(lines(await stored(), /<boot/)).toEqual(["<boot dev='hd'/>", "<boot dev='network'/>"]);
});

test("running: what libvirt and the guest can do is done at once, the rest waits and says so", async () => {
  await guest("vm", {
    boots: true,
    memory: "<memory unit='MiB'>256</memory><currentMemory unit='MiB'>128</currentMemory>",
    vcpu: "<vcpu current='1'>2</vcpu>",
  });
  const wish = { memory: 192, vcpus: 2, title: "t", description: "d", boot: ["network"] };
  const answer = await edit("vm", { ...wish, max_memory: 512 });
  const { changes, restart_needed } = expectSuccess(answer);
  for (const field of ["memory", "vcpus", "title", "description"])
    expect(of(changes, field)).toEqual({
      field,
      value: wish[field as "memory"],
      live: true,
      persistent: true,
    });
  expect(of(changes, "boot")).toMatchObject({
    live: false,
    persistent: true,
    reason: expect.stringMatching(/next start/),
  });
  expect(of(changes, "max_memory")).toMatchObject({ live: false, persistent: true });
  expect(restart_needed).toBe(true);
  expect(answer.body.message).toMatch(/waiting for a restart: .*boot/);
  const now = ["262144", "196608", "2"]; // libvirt hears of the balloon once a second
  await until("libvirt has heard of it", async () => `${await sizes()}` === `${now}`);
  expect(await sizes("--inactive")).toEqual(["524288", "196608", "2"]);
  expect(await virsh("dommemstat", "vm")).toContain(`actual ${192 * 1024}\n`);
  expect((await virsh("desc", "vm", "--live", "--title")).trim()).toBe("t");
  expect((await virsh("desc", "vm", "--live")).trim()).toBe("d");
  // more than the running domain can have; a vCPU that its guest keeps
  const more = expectSuccess(await edit("vm", { memory: 400, vcpus: 1 }));
  expect(of(more.changes, "memory")).toMatchObject({
    live: false,
    reason: expect.stringMatching(/256 MiB at most/),
  });
  expect(of(more.changes, "vcpus")).toMatchObject({ live: "requested", persistent: true });
  await virsh("destroy", "vm");
  await virsh("start", "vm");
  const [max, , vcpus] = await sizes(); // the guest gives back what is too much while it boots
  expect([max, vcpus]).toEqual(["524288", "1"]);
  expect(await sizes("--inactive")).toEqual(["524288", "409600", "1"]);
  expect(lines(await virsh("dumpxml", "vm"), /<boot/)).toEqual(["<boot dev='network'/>"]);
});

test("a guest that does not listen, one without a balloon, one that is saved", async () => {
  const memory = "<memory unit='MiB'>64</memory>";
  await guest("vm", { memory });
  await virsh("start", "vm");
  const asked = expectSuccess(await edit("vm", { memory: 48 }));
  expect(of(asked.changes, "memory")).toMatchObject({ live: "requested", persistent: true });
  expect(asked.restart_needed).toBe(true); // the maximum, which followed
  await virsh("managedsave", "vm");
  const saved = expectSuccess(await edit("vm", { title: "t" }));
  expect(of(saved.changes, "title")).toMatchObject({
    live: false,
    reason: expect.stringMatching(/managed save/),
  });
  await guest("none", { balloon: "none", memory });
  await virsh("start", "none");
  const none = expectSuccess(await edit("none", { memory: 48 }));
  expect(of(none.changes, "memory")).toMatchObject({
    live: false,
    reason: expect.stringMatching(/balloon/),
  });
  expect(await virsh("dumpxml", "none", "--inactive")).toContain(">49152</memory>");
});

test("transient: live or not at all", async () => {
  await guest("vm", { memory: "<memory unit='MiB'>64</memory>" });
  await virsh("start", "vm");
  await virsh("undefine", "vm");
  const before = await virsh("dumpxml", "vm");
  for (const field of [
    { boot: ["disk"] },
    { autostart: true },
    { max_memory: 128 },
    { max_vcpus: 2 },
  ]) {
    const [name] = Object.keys(field);
    const answer = await edit("vm", { title: "never", ...field });
    expectError(answer, 500, "unsupported", new RegExp(`^${name}: .*transient`));
  }
  expect(await virsh("dumpxml", "vm")).toBe(before);
  const done = expectSuccess(await edit("vm", { title: "t" }));
  expect(done.changes).toEqual([{ field: "title", value: "t", live: true, persistent: false }]);
  expect((await virsh("desc", "vm", "--live", "--title")).trim()).toBe("t");
  expectError(
    await edit("vm", { description: "d", memory: 128 }),
    500,
    "unsupported",
    /^memory: .*64 MiB at most.*changed were: description/,
  );
});

test("what libvirt refuses changes nothing", async () => {
  await guest("vm");
  const before = await stored();
  const answer = await edit("vm", { title: "t", autostart: true, vcpus: 4000 });
  expect(answer.status, JSON.stringify(answer.body)).toBe(500);
  expect(await stored()).toBe(before);
  expect(await virsh("dominfo", "vm")).toMatch(/Autostart: +disable/);
  expectError(await edit("gone", { title: "t" }), 404, "not_found", /'gone'/);
  expectError(await edit("vm", {}), 400, "invalid_input", /must change something/);
  expectError(
    await edit("vm", { max_memory: 64 }),
    400,
    "invalid_input",
    /^max_memory: 64 is less than memory, 128/,
  );
  expect(await stored()).toBe(before);
});

test("many at once lose nothing of each other", async () => {
  await guest("vm", { vcpu: "<vcpu>1</vcpu>" });
  const wishes = [
    { title: "t" },
    { description: "d" },
    { memory: 99 },
    { vcpus: 3 },
    { boot: ["network"] },
  ];
  const answers = await Promise.all(wishes.map((wish) => edit("vm", wish)));
  for (const answer of answers) expectSuccess(answer);
  const text = await stored();
  for (const part of [
    "<title>t<",
    "<description>d<",
    ">101376</memory>",
    ">3</vcpu>",
    "dev='network'",
  ])
    expect(text).toContain(part);
});
