/** A live migration whose memory and disks flow with TLS between the two QEMU, and what is said where that cannot be. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { type Pair, selfSigned, signed } from "../../fixtures/certificate.ts";
import { type Ear, listen } from "../../fixtures/live/counter.ts";
import {
  expectGoesOn,
  labPair,
  restartLibvirtd,
  sh,
  startCounter,
  stateOf,
} from "../../fixtures/live/migrating.ts";
import { addressOf, leftOn } from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Machine } from "../../lab/machine.ts";

/** As qemu.conf says it here; `/etc/pki/qemu` would be the machine's own. */
const FOLDER = "/etc/libvirt/tls";
const TIMEOUT = { timeout: slow(120_000) };
const pair = labPair();
let certificates: string;
let authority: Pair;
let ear: Ear;

beforeAll(async () => {
  certificates = mkdtempSync(join(tmpdir(), "migrate-tls-"));
  authority = selfSigned(certificates, "authority");
});
afterAll(() => rmSync(certificates, { recursive: true }));
beforeEach(async () => {
  ear = await listen();
});
afterEach(() => ear.stop());

const WISH = { name: "vm", to: "kvm2", live: true, copy_storage: "all", tls: true };
const migrate = (more: object = {}) =>
  pair.server.post("/libvirt/domain/migrate?host=kvm1", { ...WISH, ...more });

/** `name`: of the machine that the certificates are for. */
async function install(machine: Machine, name: string) {
  const { cert, key } = signed(certificates, name, authority, `IP:${addressOf(name)}`);
  const copy = `cd ${FOLDER}; cp ${authority.cert} ca-cert.pem
    for side in server client; do cp ${cert} $side-cert.pem; cp ${key} $side-key.pem; done`;
  await sh(machine, copy);
}

/** libvirtd does not start where the folder is missing. */
async function configure(machine: Machine) {
  const line = `migrate_tls_x509_cert_dir = "${FOLDER}"`;
  await sh(machine, `mkdir -p ${FOLDER}; echo '${line}' >>/etc/libvirt/qemu.conf`);
  await restartLibvirtd(machine);
}

async function expectNothingMoved() {
  const { kvm1, kvm2 } = pair;
  expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["running", "none"]);
  expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
  await expectGoesOn(ear);
}

test("without certificates it is refused before anything is made", TIMEOUT, async () => {
  const { kvm1, server } = pair;
  await startCounter(kvm1, ear);
  const missing = (await sh(kvm1, "[ ! -e /etc/pki/qemu/server-key.pem ] && echo yes")).trim();
  expect(missing, "this machine has no certificates for QEMU of its own").toBe("yes");
  const why =
    /tls: QEMU of kvm1 has no .*client-cert.pem.* in \/etc\/pki\/qemu; tls: QEMU of kvm2 has no .*server-cert.pem/;
  expectError(await migrate(), 500, "unsupported", why);
  await expectNothingMoved();
  const asked = { vm_id: "vm", platform: "kvm2", live: true, tls: true };
  const path = "/migration/compatibility?host=kvm1";
  expect(expectSuccess(await server.post(path, asked)).compatible).toBe(false);
  const plain = expectSuccess(await server.post(path, { ...asked, tls: false }));
  expect(plain.compatible).toBe(true);
});

test("with certificates memory and disks are encrypted", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  for (const machine of [kvm1, kvm2]) await configure(machine);
  await install(kvm1, "kvm1");
  await startCounter(kvm1, ear, { mib: 60, size: "100M" });

  await install(kvm2, "kvm1"); // not for the address at which it is called
  const why = /Certificate does not match the hostname 10.98.0.12/;
  expectError(await migrate(), 500, "virsh_failed", why);
  await expectNothingMoved();

  await install(kvm2, "kvm2");
  const moving = migrate({ bandwidth: 20 });
  const monitor = (...words: string[]) =>
    kvm1.virsh("qemu-monitor-command", "vm", ...words).catch(() => "");
  const parameters = () => monitor("--hmp", "info migrate_parameters");
  await until("it is on its way", async () => /tls-hostname: '1/.test(await parameters()), 60);
  expect(await parameters()).toMatch(/tls-creds: '\w+/);
  const data = expectSuccess(await moving);
  expect(data).toMatchObject({ flow: { encrypted: true }, warnings: [] });
  expect(data.stats.disk_bytes).toBeGreaterThan(60 * 2 ** 20);
  expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["none", "running"]);
  await expectGoesOn(ear);
});
