/** Live migrations with firmware, a TPM, TLS, throttling, post-copy and overlays: what arrives, and what libvirt says. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type Pair as Certificate, selfSigned, signed } from "../../fixtures/certificate.ts";
import { counterGuest, type Ear, listen } from "../../fixtures/live/counter.ts";
import {
  define,
  leftOn,
  type Pair,
  STORE,
  startPair,
  wipeMachine,
} from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Machine } from "../../lab/machine.ts";

let pair: Pair;
let ear: Ear;
/** Which both see. */
const shared = mkdtempSync(join(tmpdir(), "shared-"));
const TIMEOUT = { timeout: slow(180_000) };

beforeAll(async () => {
  pair = await startPair();
  ear = await listen();
}, slow(60_000));
afterAll(async () => {
  await ear.stop();
  await pair.stop();
  rmSync(shared, { recursive: true });
});
afterEach(async () => {
  for (const machine of [pair.kvm1, pair.kvm2]) await wipeMachine(machine);
});

const migrate = (body: object) =>
  pair.server.post("/libvirt/domain/migrate?host=kvm1", { to: "kvm2", live: true, ...body });
const state = async ({ virsh }: Machine, name = "vm") =>
  (await virsh("domstate", name).catch(() => "none")).trim();
const sh = ({ run }: Machine, script: string) => run("sh", "-euc", script);
const sha = async (machine: Machine, path: string) =>
  (await machine.run("sha256sum", path)).split(" ")[0] ?? "";

/** On a disk that both see. */
async function startCounter() {
  await ear.stop();
  ear = await listen();
  const disk = join(shared, "vm.qcow2");
  await sh(pair.kvm1, `rm -f ${disk}; qemu-img create -q -f qcow2 ${disk} 8M`);
  await define(pair.kvm1, await counterGuest("vm", { disk }));
  await pair.kvm1.virsh("start", "vm");
  await until("it counts", () => ear.last() > 50, slow(60));
}

async function goesOn() {
  const from = ear.last();
  await until("it goes on", () => ear.last() > from + 20, slow(60));
  expect(ear.wrong).toEqual([]);
}

test("UEFI with its variables and a TPM with its state go with the memory", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  const devices =
    "<controller type='usb' model='none'/><tpm model='tpm-crb'><backend type='emulator' version='2.0'/></tpm>";
  await define(
    kvm1,
    `<domain type='qemu'><name>uefi</name><memory unit='MiB'>128</memory><vcpu>1</vcpu><os firmware='efi'><type arch='x86_64' machine='q35'>hvm</type></os><features><acpi/></features><devices>${devices}</devices></domain>`,
  );
  await kvm1.virsh("start", "uefi");
  const nvram = "/var/lib/libvirt/qemu/nvram/uefi_VARS.fd";
  const fresh = await sha(kvm1, nvram);
  let last = fresh;
  await until(
    "the firmware has written its variables, and writes no more",
    async () => {
      const before = last;
      await new Promise((resolve) => setTimeout(resolve, 4000));
      last = await sha(kvm1, nvram);
      return last !== fresh && last === before;
    },
    slow(120),
  );
  const uuid = (await kvm1.virsh("domuuid", "uefi")).trim();
  const tpm = `/var/lib/libvirt/swtpm/${uuid}/tpm2/tpm2-00.permall`;
  const permanent = await sha(kvm1, tpm);
  const data = expectSuccess(await migrate({ name: "uefi" }));
  expect(data).toMatchObject({ source: "undefined", live: true });
  expect([await state(kvm1, "uefi"), await state(kvm2, "uefi")]).toEqual(["none", "running"]);
  expect(await sha(kvm2, nvram)).toBe(last);
  expect(await sha(kvm2, tpm)).toBe(permanent);
  expect((await leftOn(kvm1)).files).toEqual([]);
  await kvm2.virsh("destroy", "uefi");
  await kvm2.virsh("start", "uefi");
});

test(
  "tls: with certificates that each other's CA has signed, and not without",
  TIMEOUT,
  async () => {
    const { kvm1, kvm2 } = pair;
    await startCounter();
    const stays = async (why: RegExp) => {
      expectError(await migrate({ name: "vm", tls: true }), 500, "virsh_failed", why);
      expect([await state(kvm1), await state(kvm2)]).toEqual(["running", "none"]);
      await goesOn();
    };
    const give = async (machine: Machine, ca: Certificate, own: Certificate) => {
      const files = ["server", "client"].map(
        (kind) =>
          `cp ${own.cert} /run/pki/${kind}-cert.pem; cp ${own.key} /run/pki/${kind}-key.pem`,
      );
      await sh(machine, `cp ${ca.cert} /run/pki/ca-cert.pem; ${files.join("; ")}`);
    };
    const setting = `mkdir /run/pki; echo 'migrate_tls_x509_cert_dir = "/run/pki"' >>/etc/libvirt/qemu.conf`;
    const restart = `kill $(cat /run/libvirtd.pid); while [ -e /run/libvirtd.pid ]; do sleep 0.1; done; libvirtd -d`;
    for (const machine of [kvm1, kvm2]) await sh(machine, `${setting}; ${restart}`);
    await until("libvirtd is back", async () => (await state(kvm1)) === "running", slow(30));
    await stays(/./);
    const [ca, foreign] = [selfSigned(shared, "ca"), selfSigned(shared, "foreign")];
    await give(kvm1, ca, signed(shared, "kvm1", ca));
    await give(kvm2, foreign, signed(shared, "kvm2", foreign));
    await stays(/./);
    await give(kvm2, ca, signed(shared, "kvm2", ca));
    const data = expectSuccess(await migrate({ name: "vm", tls: true }));
    expect(data).toMatchObject({ flow: { encrypted: true }, warnings: [] });
    expect([await state(kvm1), await state(kvm2)]).toEqual(["none", "running"]);
    await goesOn();
  },
);

test("auto_converge: libvirt tells how far the guest is slowed down", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  await startCounter();
  const wish = { name: "vm", auto_converge: true, bandwidth: 1, timeout: slow(100) };
  const moved = migrate(wish);
  let told = "";
  await until(
    "it is throttled",
    async () => {
      told = await kvm1.virsh("domjobinfo", "vm").catch(() => "");
      return /Auto converge throttle: +[1-9]\d* %/.test(told);
    },
    slow(100),
  );
  await kvm1.virsh("domjobabort", "vm");
  expectError(await moved, 500, "virsh_failed", /./);
  expect([await state(kvm1), await state(kvm2)]).toEqual(["running", "none"]);
  await goesOn();
});

test("postcopy_after: the guest goes on there, and fetches the rest", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  await startCounter();
  const wish = { name: "vm", postcopy_after: 1, bandwidth: 1 };
  const answer = await migrate(wish);
  console.log(JSON.stringify(answer.body));
  expectSuccess(answer);
  expect([await state(kvm1), await state(kvm2)]).toEqual(["none", "running"]);
  console.log(await kvm2.virsh("domjobinfo", "vm", "--completed", "--rawstats"));
  await goesOn();
});

test("incremental: the overlay alone moves, onto the base that both have", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  await ear.stop();
  ear = await listen();
  const base = join(shared, "base.raw");
  await sh(kvm1, `head -c 32M /dev/urandom >${base}`);
  for (const machine of [kvm1, kvm2]) await sh(machine, `cp ${base} ${STORE}/base.raw`);
  const overlay = `${STORE}/vm.qcow2`;
  await sh(kvm1, `qemu-img create -q -f qcow2 -F raw -b ${STORE}/base.raw ${overlay}`);
  for (const { virsh } of [kvm1, kvm2]) await virsh("pool-refresh", "default");
  await define(kvm1, await counterGuest("vm", { disk: overlay }));
  await kvm1.virsh("start", "vm");
  await until("it counts", () => ear.last() > 50, slow(60));
  const data = expectSuccess(await migrate({ name: "vm", copy_storage: "incremental" }));
  expect(data.stats.disk_bytes).toBeLessThan(8 * 2 ** 20);
  await goesOn();
  const info = JSON.parse(await kvm2.run("qemu-img", "info", "-U", "--output=json", overlay));
  expect(info).toMatchObject({ "backing-filename": `${STORE}/base.raw` });
  expect(info["actual-size"]).toBeLessThan(8 * 2 ** 20);
  await kvm2.virsh("destroy", "vm");
  const compare = `qemu-img convert -O raw ${overlay} /run/vm.raw; cmp -i 65536 /run/vm.raw ${base}; rm /run/vm.raw`;
  await sh(kvm2, compare);
});
