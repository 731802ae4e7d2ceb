/** A live migration of an overlay: what arrives, and what libvirt says of it. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { counterGuest, type Ear, listen } from "../../fixtures/live/counter.ts";
import { expectGoesOn, labPair, sh } from "../../fixtures/live/migrating.ts";
import { define, STORE } from "../../fixtures/live/pair.ts";
import { expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const pair = labPair();
let ear: Ear;
beforeEach(async () => {
  ear = await listen();
});
afterEach(() => ear.stop());

const migrate = (body: object) =>
  pair.server.post("/libvirt/domain/migrate?host=kvm1", { to: "kvm2", live: true, ...body });

test("incremental: the overlay alone moves, onto the base that both have", {
  timeout: slow(180_000),
}, async () => {
  const { kvm1, kvm2 } = pair;
  const base = "/tmp/migrate-base.raw";
  await sh(kvm1, `head -c 32M /dev/urandom >${base}`);
  for (const machine of [kvm1, kvm2]) await sh(machine, `cp ${base} ${STORE}/base.raw`);
  const overlay = `${STORE}/vm.qcow2`;
  await sh(kvm1, `qemu-img create -q -f qcow2 -F raw -b ${STORE}/base.raw ${overlay}`);
  for (const { virsh } of [kvm1, kvm2]) await virsh("pool-refresh", "default");
  await define(kvm1, await counterGuest("vm", { disk: overlay }));
  await kvm1.virsh("start", "vm");
  await until("it counts", () => ear.last() > 50, slow(60));
  const data = expectSuccess(await migrate({ name: "vm", copy_storage: "incremental" }));
  expect(data.stats.disk_bytes).toBeGreaterThan(0);
  expect(data.stats.disk_bytes).toBeLessThan(8 * 2 ** 20);
  await expectGoesOn(ear);
  const info = JSON.parse(await kvm2.run("qemu-img", "info", "-U", "--output=json", overlay));
  expect(info).toMatchObject({ "backing-filename": `${STORE}/base.raw` });
  expect(info["actual-size"]).toBeLessThan(8 * 2 ** 20);
  await kvm2.virsh("destroy", "vm");
  const compare = `qemu-img convert -O raw ${overlay} /run/vm.raw; cmp -i 65536 /run/vm.raw ${base}; rm /run/vm.raw ${base}`;
  await sh(kvm2, compare);
});
