/** How fast a running guest's memory and disks may flow, and what is done with a guest that writes faster. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Ear, listen } from "../../fixtures/live/counter.ts";
import { expectGoesOn, labPair, startCounter, stateOf } from "../../fixtures/live/migrating.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const MIB = 2 ** 20;
const pair = labPair();
let ear: Ear;
beforeEach(async () => {
  ear = await listen();
});
afterEach(() => ear.stop());

const migrate = (more: object) => {
  const wish = { name: "vm", to: "kvm2", live: true, copy_storage: "all", ...more };
  return pair.server.post("/libvirt/domain/migrate?host=kvm1", wish);
};
const onSource = (...words: string[]) => pair.kvm1.virsh(...words).catch(() => "");

test("bandwidth: libvirt has what was asked, for the memory and for the disk", {
  timeout: slow(120_000),
}, async () => {
  await startCounter(pair.kvm1, ear, { mib: 60, size: "100M" });
  const moving = migrate({ bandwidth: 20 });
  const jobs = () => onSource("qemu-monitor-command", "vm", '{"execute":"query-block-jobs"}');
  await until("the disk flows", async () => (await jobs()).includes('"mirror"'), 60);
  expect(JSON.parse(await jobs()).return).toMatchObject([{ speed: 20 * MIB }]);
  const parameters = await onSource(
    "qemu-monitor-command",
    "vm",
    "--hmp",
    "info migrate_parameters",
  );
  expect(parameters).toContain(`max-bandwidth: ${20 * MIB} bytes/second`);
  expectSuccess(await moving);
  await expectGoesOn(ear);
});

test("auto_converge: a guest that writes faster than its memory flows is slowed down until it can go", {
  timeout: slow(240_000),
}, async () => {
  const { kvm1, kvm2 } = pair;
  const beside = "dd if=/dev/urandom of=/a bs=1M count=16; while :; do cat /a >/b; done";
  await startCounter(kvm1, ear, { guest: { beside, memoryMiB: 128 } });
  await until(
    "it writes",
    async () => {
      return /records out/.test(await kvm1.run("cat", "/run/console.log"));
    },
    60,
  );
  const slowed: number[] = [];
  const watch = async (moving: Promise<unknown>) => {
    let isMoving = true;
    void moving.finally(() => {
      isMoving = false;
    });
    while (isMoving) {
      const throttle = /auto_converge_throttle: (\d+)/;
      const percent = throttle.exec(await onSource("domjobinfo", "vm", "--rawstats"))?.[1];
      if (percent) slowed.push(Number(percent));
      await sleep(250);
    }
  };
  const given = migrate({ bandwidth: 16, timeout: 15 });
  await watch(given);
  expectError(await given, 504, "timed_out", /took longer than 15 s/);
  expect(slowed).toEqual([]);
  await expectGoesOn(ear);
  const moving = migrate({ bandwidth: 16, auto_converge: true });
  await watch(moving);
  expectSuccess(await moving);
  console.log(slowed.join(" "));
  expect(slowed.length).toBeGreaterThan(0);
  expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["none", "running"]);
  await expectGoesOn(ear);
});
