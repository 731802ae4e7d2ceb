/** A running guest moves between two hypervisors, and goes on counting; whatever goes wrong, one of it runs. */
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Ear, listen } from "../../fixtures/live/counter.ts";
import {
  DISK,
  expectGoesOn,
  labPair,
  onDisk,
  startCounter,
  stateOf,
} from "../../fixtures/live/migrating.ts";
import { leftOn } from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const pair = labPair();
let ear: Ear;
const TIMEOUT = { timeout: slow(120_000) };

beforeEach(async () => {
  ear = await listen();
});
afterEach(() => ear.stop());

const migrate = (body: object, host = "kvm1") =>
  pair.server.post(`/libvirt/domain/migrate?host=${host}`, { name: "vm", live: true, ...body });
test(
  "with its disk: the count never breaks, and nothing of it is left behind",
  TIMEOUT,
  async () => {
    const { kvm1, kvm2 } = pair;
    await startCounter(kvm1, ear);
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
    expect(data.stats.disk_bytes).toBeGreaterThan(0);
    await expectGoesOn(ear);
    expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["none", "running"]);
    const before = await onDisk(kvm1);
    await expectGoesOn(ear);
    expect(await onDisk(kvm1)).toBe(before); // the source writes no more
    expect(await onDisk(kvm2)).toBeGreaterThan(before);
    expect(await kvm2.virsh("dominfo", "vm")).toMatch(/Persistent: +yes/);
    expect(await kvm2.virsh("dumpxml", "vm")).toContain("<tag>prod</tag>");
  },
);

test("to a pool of another name, and back", TIMEOUT, async () => {
  const { kvm1, kvm2 } = pair;
  await startCounter(kvm1, ear);
  const pool =
    "mkdir -p /run/other; virsh -q pool-define-as other dir --target /run/other; virsh -q pool-start other";
  await kvm2.run("sh", "-c", pool);
  expectSuccess(await migrate({ to: "kvm2", copy_storage: "all", target_pool: "other" }));
  await expectGoesOn(ear);
  for (const flags of [[], ["--inactive"]])
    expect(await kvm2.virsh("domblklist", "vm", ...flags)).toContain("/run/other/vm.qcow2");
  await kvm1.run("rm", DISK);
  await kvm1.virsh("pool-refresh", "default");
  expectSuccess(await migrate({ to: "kvm1", copy_storage: "all", target_pool: "default" }, "kvm2"));
  await expectGoesOn(ear);
  expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["running", "none"]);
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
    await startCounter(kvm1, ear, { size: "1G" });
    const wish = { to: "kvm2", copy_storage: "all", bandwidth: 1, timeout: 3 };
    expectError(await migrate(wish), 504, "timed_out", /took longer than 3 s/);
    expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["running", "none"]);
    expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
    await expectGoesOn(ear);
  },
);
