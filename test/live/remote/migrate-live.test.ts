/** A running guest moves between two hypervisors, and goes on counting; whatever goes wrong, one of it runs. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
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
const TIMEOUT = { timeout: slow(120_000) };
const DISK = `${STORE}/vm.qcow2`;

beforeAll(async () => {
  pair = await startPair();
}, slow(60_000));
afterAll(() => pair.stop());
beforeEach(async () => {
  ear = await listen();
});
afterEach(async () => {
  await ear.stop();
  for (const machine of [pair.kvm1, pair.kvm2]) await wipeMachine(machine);
});

const migrate = (body: object, host = "kvm1") =>
  pair.server.post(`/libvirt/domain/migrate?host=${host}`, { name: "vm", live: true, ...body });
const state = async ({ virsh }: Machine) =>
  (await virsh("domstate", "vm").catch(() => "none")).trim();
/** What the disk holds, as far as QEMU has written it. */
const onDisk = async ({ run }: Machine, file = DISK) => {
  const copy = `qemu-img convert -U -O raw ${file} /run/disk.raw && head -c 16 /run/disk.raw; rm -f /run/disk.raw`;
  return Number.parseInt(await run("sh", "-c", copy), 10);
};

async function startCounter({ virsh, run, ...kvm }: Machine, size = "64M") {
  await run(
    "sh",
    "-c",
    `qemu-img create -q -f qcow2 ${DISK} ${size}; virsh -q pool-refresh default`,
  );
  await define({ virsh, run, ...kvm }, await counterGuest("vm", { disk: DISK }));
  await virsh("start", "vm");
  await until("it counts", () => ear.last() > 50, slow(60));
}

async function goesOn() {
  const from = ear.last();
  await until("it goes on", () => ear.last() > from + 50, slow(30));
  expect(ear.wrong).toEqual([]);
}

test(
  "with its disk: the count never breaks, and nothing of it is left behind",
  TIMEOUT,
  async () => {
    const { kvm1, kvm2 } = pair;
    await startCounter(kvm1);
    const dry = expectSuccess(await migrate({ to: "kvm2", copy_storage: "all", dry_run: true }));
    expect(dry.checks.filter(({ status }: { status: string }) => status === "fail")).toEqual([]);
    expect(dry).toMatchObject({
      flow: {
        memory: expect.stringMatching(/^from kvm1 to kvm2 at 10\.98\.0\.12, .*not encrypted$/),
      },
      warnings: [expect.stringMatching(/tls encrypts it$/)],
    });
    expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
    const data = expectSuccess(await migrate({ to: "kvm2", copy_storage: "all" }));
    expect(data).toMatchObject({ source: "undefined", kept_files: [DISK] });
    expect(data.stats.total_ms).toBeGreaterThan(0);
    console.log(data.stats);
    await goesOn();
    expect([await state(kvm1), await state(kvm2)]).toEqual(["none", "running"]);
    const before = await onDisk(kvm1);
    await goesOn();
    expect(await onDisk(kvm1)).toBe(before); // the source writes no more
    expect(await onDisk(kvm2)).toBeGreaterThan(before);
    expect(await kvm2.virsh("dominfo", "vm")).toMatch(/Persistent: +yes/);
    expect(await kvm2.virsh("dumpxml", "vm")).toContain("<tag>prod</tag>");
  },
);

test("to a pool of another name, and back", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  await startCounter(kvm1);
  const pool =
    "mkdir -p /run/other; virsh -q pool-define-as other dir --target /run/other; virsh -q pool-start other";
  await kvm2.run("sh", "-c", pool);
  expectSuccess(await migrate({ to: "kvm2", copy_storage: "all", target_pool: "other" }));
  await goesOn();
  for (const flags of [[], ["--inactive"]])
    expect(await kvm2.virsh("domblklist", "vm", ...flags)).toContain("/run/other/vm.qcow2");
  await kvm1.run("rm", DISK);
  await kvm1.virsh("pool-refresh", "default");
  expectSuccess(await migrate({ to: "kvm1", copy_storage: "all", target_pool: "default" }, "kvm2"));
  await goesOn();
  expect([await state(kvm1), await state(kvm2)]).toEqual(["running", "none"]);
  await kvm2.run(
    "sh",
    "-c",
    "virsh -q pool-destroy other; virsh -q pool-undefine other; rm -r /run/other",
  );
});

test(
  "a timeout gives it up: the guest goes on where it was, and the target is clean",
  TIMEOUT,
  async () => {
    const { kvm1, kvm2 } = pair;
    await startCounter(kvm1, "1G");
    const wish = { to: "kvm2", copy_storage: "all", bandwidth: 1, timeout: 3 };
    await kvm1.run("sh", "-c", "true");
    expectError(await migrate(wish), 504, "timed_out", /took longer than 3 s/);
    expect([await state(kvm1), await state(kvm2)]).toEqual(["running", "none"]);
    expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
    await goesOn();
  },
);
