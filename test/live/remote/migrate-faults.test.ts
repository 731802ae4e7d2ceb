/** What a migration must not do to other guests, to disks that are the only ones, and to what a domain leaves behind. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import { type Ear, listen } from "../../fixtures/live/counter.ts";
import { stopHosts } from "../../fixtures/live/jobs.ts";
import {
  DISK,
  expectGoesOn,
  labPair,
  onDisk,
  sh,
  startCounter,
  stateOf,
} from "../../fixtures/live/migrating.ts";
import { startMover } from "../../fixtures/live/moving.ts";
import { define, leftOn, STORE } from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Machine } from "../../lab/machine.ts";

const TIMEOUT = { timeout: slow(120_000) };
const MOVER = "/run/mover";
const LOOSE = "/var/lib/libvirt/vms";
const pair = labPair(`[files]\nallowed = ["${LOOSE}"]`);

afterAll(stopHosts);

const post = (path: string, body: object, host = "kvm1") =>
  pair.server.post(`${path}?host=${host}`, body);
const migrate = (body: object, host?: string) =>
  post("/libvirt/domain/migrate", { name: "vm", to: "kvm2", ...body }, host);
const state = (machine: Machine) => stateOf(machine, "--reason");
const sha = async ({ run }: Machine, path: string) => (await run("sha256sum", path)).slice(0, 64);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

const PC = "<os><type arch='x86_64' machine='pc'>hvm</type></os>";
const UEFI = "<os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os>";
const TPM = "<tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>";
const domain = (devices: string, os = PC) =>
  `<domain type='qemu'><name>vm</name><memory unit='MiB'>32</memory><vcpu>1</vcpu>${os}<features><acpi/></features><devices><controller type='usb' model='none'/>${devices}</devices></domain>`;
const file = (path: string, format = "raw") =>
  `<disk type='file' device='disk'><driver name='qemu' type='${format}'/><source file='${path}'/><target dev='vda' bus='virtio'/></disk>`;

describe("running guests", () => {
  let ear: Ear;
  afterEach(() => ear.stop());

  test("one that is arriving arrives, whatever is asked meanwhile", TIMEOUT, async () => {
    const { kvm1, kvm2 } = pair;
    ear = await listen();
    await startCounter(kvm1, ear, { mib: 150, size: "200M" });
    await sh(kvm1, `qemu-img create -q -f qcow2 ${STORE}/other.qcow2 1M`);
    const other = domain(file(`${STORE}/other.qcow2`, "qcow2")).replace(">vm<", ">other<");
    await define(kvm1, other);
    await kvm1.virsh("start", "other");
    const moving = migrate({ live: true, copy_storage: "all", bandwidth: 10 });
    const isArriving = async () => (await state(kvm2)) === "paused (migrating)";
    await until("it arrives", isArriving, slow(30));
    const asked = { vm_id: "other", platform: "kvm2", live: true };
    const { checks } = expectSuccess(await post("/migration/compatibility", asked));
    const route = checks.find(({ item }: { item: string }) => item === "route");
    expect(route).toMatchObject({ status: "warning", message: expect.stringMatching(/arrives/) });
    expect(await isArriving(), "it is on its way still").toBe(true);
    expectSuccess(await moving);
    expect(await state(kvm2)).toMatch(/^running/);
    await expectGoesOn(ear);
  });

  test(
    "one that went on there when its server died, and is off by now, keeps its disk",
    TIMEOUT,
    async () => {
      const { kvm1, kvm2 } = pair;
      ear = await listen();
      await startCounter(kvm1, ear, { size: "200M" });
      const mover = await startMover(pair, MOVER);
      const wish = { name: "vm", to: "kvm2", live: true, copy_storage: "all" };
      const strike = `stdbuf -oL virsh event --event lifecycle --loop --timeout 100 | while read -r line; do
        case $line in *Resumed*) kill -9 ${mover.pid}; break;; esac; done`;
      await kvm2.run("sh", "-c", 'setsid sh -c "$1" </dev/null >/dev/null 2>&1 &', "sh", strike);
      const job = await mover.submit("/libvirt/domain/migrate", wish, { host: "kvm1" });
      await until("it goes on there", () => !isAlive(mover.pid), slow(90));
      await kvm2.virsh("destroy", "vm");
      await mover.stop();
      const there = await onDisk(kvm2);
      console.log({ source: await state(kvm1), target: await state(kvm2) });
      const ended = await (await startMover(pair, MOVER)).ended(job, slow(60));
      expect(ended.state, JSON.stringify(ended)).toBe("failed");
      expect(JSON.stringify(ended.error)).toMatch(/has come to kvm2, so that it stays/);
      expect(await leftOn(kvm2)).toEqual({ domains: ["vm"], files: [DISK] });
      expect(await onDisk(kvm2)).toBe(there);
      await kvm2.virsh("start", "vm");
    },
  );

  test("one without a definition that ends on its way has not moved", TIMEOUT, async () => {
    const { kvm1 } = pair;
    ear = await listen();
    await startCounter(kvm1, ear, { mib: 150, size: "200M" });
    await kvm1.virsh("undefine", "vm");
    const moving = migrate({ live: true, copy_storage: "all", bandwidth: 2 });
    await until("it arrives", async () => /^paused/.test(await state(pair.kvm2)), slow(30));
    await sleep(1000);
    await kvm1.virsh("destroy", "vm").catch(() => {});
    const { status, body } = await moving;
    expect(status, JSON.stringify(body)).toBe(500);
    expect(body.error).toMatch(/^the guest of vm has ended on its way: /);
    expect([await state(pair.kvm1), await state(pair.kvm2)]).toEqual(["none", "none"]);
  });
});

test("a volume of one name is not one disk: another guest's stays another guest's", async () => {
  const { kvm1, kvm2 } = pair;
  for (const machine of [kvm1, kvm2])
    await sh(machine, `head -c 1M /dev/urandom >${STORE}/root.raw; virsh -q pool-refresh default`);
  const disk =
    "<disk type='volume' device='disk'><driver name='qemu' type='raw'/><source pool='default' volume='root.raw'/><target dev='vda' bus='virtio'/></disk>";
  await define(kvm1, domain(disk));
  const refused = /volume root.raw of pool default of kvm2 is another than that of kvm1/;
  expectError(await migrate({}), 500, "unsupported", refused);
  expect([(await leftOn(kvm1)).domains, (await leftOn(kvm2)).domains]).toEqual([["vm"], []]);
});

describe("a copy that may be torn", () => {
  const nothingMoved = async () => {
    const { kvm1, kvm2 } = pair;
    expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
    expect((await leftOn(kvm1)).domains).toContain("vm");
  };

  test.each([STORE, LOOSE])("in %s: it was written to, and is off again", TIMEOUT, async (at) => {
    const { kvm1, kvm2 } = pair;
    for (const machine of [kvm1, kvm2]) await sh(machine, `mkdir -p ${at}`);
    await sh(kvm1, `head -c 300M /dev/urandom >${at}/vm.raw; virsh -q pool-refresh default`);
    await define(kvm1, domain(file(`${at}/vm.raw`)));
    const moving = migrate({ copy_storage: "all" });
    const begun = `ls -d ${at}/.hypersdk-* 2>/dev/null | grep -q .`;
    await until(
      "it is copied",
      () =>
        sh(kvm2, begun).then(
          () => true,
          () => false,
        ),
      slow(30),
    );
    await kvm1.virsh("start", "vm");
    await sh(kvm1, `printf written | dd of=${at}/vm.raw bs=1 seek=200M conv=notrunc status=none`);
    await kvm1.virsh("destroy", "vm");
    expectError(await moving, 500, "in_use", /^disk vda: .*vm.raw was written to while it was cop/);
    await nothingMoved();
    expect((await kvm2.run("ls", "-A", at)).trim()).toBe("");
  });

  test("a file of no pool that another running domain writes to", async () => {
    const { kvm1, kvm2 } = pair;
    for (const machine of [kvm1, kvm2]) await sh(machine, `mkdir -p ${LOOSE}`);
    await sh(kvm1, `truncate -s 1M ${LOOSE}/vm.raw`);
    await define(kvm1, domain(file(`${LOOSE}/vm.raw`)));
    await define(kvm1, domain(file(`${LOOSE}/vm.raw`)).replace(">vm<", ">writer<"));
    await kvm1.virsh("start", "writer");
    const refused = migrate({ copy_storage: "all" });
    expectError(await refused, 500, "in_use", /^disk vda: .*used by the running domain writer/);
    await nothingMoved();
  });
});

describe("the firmware's variables and the TPM", () => {
  const nvramOf = (machine: Machine) => sh(machine, "ls /var/lib/libvirt/qemu/nvram/*");

  test("go with the definition, so that the domain can come back", TIMEOUT, async () => {
    const { kvm1, kvm2 } = pair;
    const folder = mkdtempSync(join(tmpdir(), "shared-"));
    const disk = join(folder, "vm.raw");
    await sh(kvm1, `truncate -s 1M ${disk}`);
    await define(kvm1, domain(file(disk) + TPM, UEFI));
    await kvm1.virsh("start", "vm");
    await kvm1.virsh("destroy", "vm");
    const nvram = (await nvramOf(kvm1)).trim();
    await sh(kvm1, `printf marked | dd of=${nvram} bs=1 seek=500 conv=notrunc status=none`);
    const sum = await sha(kvm1, nvram);
    const there = expectSuccess(await migrate({}));
    expect(there).toMatchObject({ source: "undefined", kept_files: [], warnings: [] });
    expect(await leftOn(kvm1)).toEqual({ domains: [], files: [] });
    expect(await sha(kvm2, nvram)).toBe(sum);
    expectSuccess(await migrate({ to: "kvm1" }, "kvm2"));
    expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
    expect(await sha(kvm1, nvram)).toBe(sum);
    await kvm1.virsh("start", "vm");
    await kvm1.virsh("destroy", "vm");
    rmSync(folder, { recursive: true });
  });

  test("on storage that both see they are the other's, too, and stay", TIMEOUT, async () => {
    const { kvm1, kvm2 } = pair;
    const folder = mkdtempSync(join(tmpdir(), "shared-"));
    const nvram = join(folder, "vm.fd");
    await sh(kvm1, `truncate -s 1M ${STORE}/vm.raw; cp /usr/share/OVMF/OVMF_VARS*4M.fd ${nvram}`);
    await kvm1.virsh("pool-refresh", "default");
    const code = (await sh(kvm1, "ls /usr/share/OVMF/OVMF_CODE_4M.fd")).trim();
    const os = `<os><type arch='x86_64' machine='q35'>hvm</type><loader readonly='yes' type='pflash'>${code}</loader><nvram>${nvram}</nvram></os>`;
    await define(kvm1, domain(file(`${STORE}/vm.raw`), os));
    const sum = await sha(kvm1, nvram);
    const data = expectSuccess(await migrate({ copy_storage: "all" }));
    expect(data).toMatchObject({ source: "undefined", kept_files: [`${STORE}/vm.raw`] });
    expect(await sha(kvm2, nvram)).toBe(sum);
    await kvm2.virsh("start", "vm");
    await kvm2.virsh("destroy", "vm");
    rmSync(folder, { recursive: true });
  });
});

test("where both sides have it, the target alone starts it; drain tells; back takes it along", async () => {
  const { kvm1, kvm2 } = pair;
  await sh(kvm1, `qemu-img create -q -f qcow2 ${DISK} 1M; virsh -q pool-refresh default`);
  await define(kvm1, domain(file(DISK, "qcow2")));
  await kvm1.virsh("autostart", "vm");
  const isAutostart = async ({ virsh }: Machine) =>
    /Autostart: +enable/.test(await virsh("dominfo", "vm"));
  const wish = { host: "kvm1", to: ["kvm2"], copy_storage: "all", undefine_source: false };
  const { domains } = expectSuccess(await post("/hosts/drain", wish));
  expect(domains).toMatchObject([
    {
      ...{ name: "vm", success: true, source: "defined" },
      warnings: [expect.stringMatching(/on one of the two only/), "it starts with kvm1 no more"],
    },
  ]);
  expect([await isAutostart(kvm1), await isAutostart(kvm2)]).toEqual([false, true]);
  const back = () => post("/migration/rollback", { vm_id: "vm", backup_id: "kvm1" }, "kvm2");
  await kvm2.virsh("start", "vm");
  await kvm2.virsh("managedsave", "vm");
  expectError(await back(), 500, "in_use", /managed save here/);
  await kvm2.virsh("managedsave-remove", "vm");
  await kvm2.virsh("snapshot-create-as", "vm", "there");
  expectError(await back(), 500, "in_use", /snapshots here that kvm1 has not \(there\)/);
  await kvm2.virsh("snapshot-delete", "vm", "there");
  expectSuccess(await back());
  expect(await isAutostart(kvm1)).toBe(true);
  expect((await leftOn(kvm2)).domains).toEqual([]);
});
