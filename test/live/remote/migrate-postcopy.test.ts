/** A guest that goes on at the target while a part of its memory is at the source still: post-copy. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { counterGuest, type Ear, listen } from "../../fixtures/live/counter.ts";
import { stopHosts } from "../../fixtures/live/jobs.ts";
import { expectGoesOn, labPair, restartLibvirtd, stateOf } from "../../fixtures/live/migrating.ts";
import { startMover } from "../../fixtures/live/moving.ts";
import { define, LAB, leftOn } from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const MIB = 2 ** 20;
const TIMEOUT = { timeout: slow(180_000) };
/** libvirt takes a disk that comes over the network for shared, and no file of this machine. */
const DISK = `<disk type='network' device='disk'><driver name='qemu' type='raw' cache='none'/><source protocol='nbd' name='vm'><host name='${LAB}' port='10809'/></source><target dev='vda' bus='virtio'/></disk>`;

const pair = labPair();
let folder: string;
let stopDisk: () => void;
let ear: Ear;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "postcopy-"));
  const file = join(folder, "vm.raw");
  writeFileSync(file, "");
  truncateSync(file, 10 * MIB);
  const words = ["--shared", "4", "--persistent", "--format", "raw", "--export-name", "vm", file];
  const server = spawn("qemu-nbd", ["--bind", LAB, ...words], { stdio: "ignore" });
  stopDisk = () => server.kill();
});
afterAll(() => {
  stopDisk();
  rmSync(folder, { recursive: true });
});
beforeEach(async () => {
  ear = await listen();
  await define(pair.kvm1, await counterGuest("vm", { disk: DISK }));
  await pair.kvm1.virsh("start", "vm");
  await until("it counts", () => ear.last() > 20, slow(60));
});
afterEach(() => ear.stop());

const AT = { host: "kvm1" };
const wishOf = (more: object) => ({
  ...{ name: "vm", to: "kvm2", live: true, postcopy_after: 1 },
  ...more,
});
const migrate = (more: object) =>
  pair.server.post("/libvirt/domain/migrate?host=kvm1", wishOf(more));

const untilPostcopy = () =>
  until(
    "it is in post-copy",
    async () => (await stateOf(pair.kvm2, "--reason")) === "running (post-copy)",
    slow(60),
  );

async function expectMoved() {
  const { kvm1, kvm2 } = pair;
  expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["none", "running"]);
  await expectGoesOn(ear);
}

test(
  "it goes on there before its memory has come; bandwidth holds, and a timeout comes too late",
  TIMEOUT,
  async () => {
    const { kvm1 } = pair;
    const moving = migrate({ bandwidth: 2, timeout: 12 });
    await untilPostcopy();
    expect(await stateOf(kvm1, "--reason")).toBe("paused (post-copy)");
    const parameters = ["qemu-monitor-command", "vm", "--hmp", "info migrate_parameters"];
    const rate = new RegExp(`max-postcopy-bandwidth: ${2 * MIB}\\b`);
    expect(await kvm1.virsh(...parameters)).toMatch(rate);
    const { stats } = expectSuccess(await moving);
    expect(stats.total_ms).toBeGreaterThan(12_000);
    await expectMoved();
  },
);

test("a job that is cancelled in post-copy has moved its guest all the same", TIMEOUT, async () => {
  const host = await startMover(pair, "/run/postcopy");
  const job = await host.submit("/libvirt/domain/migrate", wishOf({ bandwidth: 4 }), AT);
  await untilPostcopy();
  await host.post("/jobs/cancel", { job_ids: [job] });
  expect((await host.ended(job, slow(120))).state).toBe("completed");
  await expectMoved();
  await stopHosts();
});

test(
  "a server that is killed in post-copy breaks no guest, whose memory goes on flowing",
  TIMEOUT,
  async () => {
    const host = await startMover(pair, "/run/postcopy");
    const job = await host.submit("/libvirt/domain/migrate", wishOf({ bandwidth: 4 }), AT);
    await untilPostcopy();
    await host.kill();
    const ended = await (await startMover(pair, "/run/postcopy")).ended(job, slow(120));
    expect(ended.error).toMatchObject({
      code: "outcome_unknown",
      left: [expect.stringMatching(/runs on kvm2, and a part of its memory is on kvm1 still/)],
    });
    const hasCome = async () => (await stateOf(pair.kvm1, "--reason")) === "shut off (migrated)";
    await until("the rest of its memory has come", hasCome, slow(90));
    expect(await stateOf(pair.kvm2)).toBe("running");
    await expectGoesOn(ear);
    await stopHosts();
  },
);

test(
  "where QEMU may not use userfaultfd it is told, and the guest goes on where it is",
  TIMEOUT,
  async () => {
    const { kvm1, kvm2 } = pair;
    await restartLibvirtd(kvm2, "setpriv --bounding-set=-sys_ptrace");
    const why =
      /^postcopy_after: QEMU of kvm2 may not use userfaultfd, .*vm.unprivileged_userfaultfd=1/;
    expectError(await migrate({}), 500, "unsupported", why);
    expect([await stateOf(kvm1), await stateOf(kvm2)]).toEqual(["running", "none"]);
    expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
    await expectGoesOn(ear);
    await restartLibvirtd(kvm2);
    expectSuccess(await migrate({}));
    await expectMoved();
  },
);
