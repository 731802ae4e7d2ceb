/**
 * From Debian 12's libvirt 9.0 to Debian 13's 11.3, which runs in a root file system of its own: a newer QEMU takes a
 * running guest of an older one, and an older one takes none of a newer one's.
 */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Ear, listen } from "../../fixtures/live/counter.ts";
import {
  DISK,
  expectGoesOn,
  labPair,
  STATE_FOLDERS,
  sh,
  startCounter,
  stateOf,
  UEFI_AND_TPM,
} from "../../fixtures/live/migrating.ts";
import { leftOn } from "../../fixtures/live/pair.ts";
import { NAMES_JOBS } from "../../fixtures/live/release.ts";
import { expectError, expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Machine } from "../../lab/machine.ts";
import { madeRoot } from "../../lab/release-root.mjs";

const TIMEOUT = { timeout: slow(240_000) };
const root = madeRoot("trixie");
const NEEDS = "(needs libvirt before 11.3 here, and the root that test:release has made of trixie)";

describe.skipIf(root === undefined || NAMES_JOBS)(`between releases ${NEEDS}`, () => {
  const pair = labPair("", {}, root);
  let ear: Ear;
  beforeEach(async () => {
    ear = await listen();
  });
  afterEach(() => ear.stop());

  const post = (path: string, host: string, body: object) =>
    pair.server.post(`${path}?host=${host}`, body);
  const migrate = (host: string, to: string, more: object = {}) =>
    post("/libvirt/domain/migrate", host, { name: "vm", to, copy_storage: "all", ...more });
  const versionOf = async ({ virsh }: Machine) =>
    /Using library: libvirt (\d+\.\d+)/.exec(await virsh("version"))?.[1];
  const expectRuns = async (on: "kvm1" | "kvm2") => {
    const states = [await stateOf(pair.kvm1), await stateOf(pair.kvm2)];
    expect(states).toEqual(on === "kvm1" ? ["running", "none"] : ["none", "running"]);
    await expectGoesOn(ear);
  };

  test(
    "a running guest goes to the newer one, and is not let back while it runs",
    TIMEOUT,
    async () => {
      const { kvm1, kvm2 } = pair;
      expect(await versionOf(kvm2)).toBe("11.3");
      console.log(await versionOf(kvm1), await versionOf(kvm2));
      await startCounter(kvm1, ear);
      expectSuccess(await migrate("kvm1", "kvm2", { live: true }));
      await expectRuns("kvm2");
      await sh(kvm1, `rm ${DISK}; virsh -q pool-refresh default`);

      const asked = { vm_id: "vm", platform: "kvm1", live: true };
      const told = expectSuccess(await post("/migration/compatibility", "kvm2", asked));
      expect(told.compatible).toBe(false);
      const failed = told.checks.filter(({ status }: { status: string }) => status === "fail");
      const why = /^QEMU \S+ there is older than QEMU \S+ here; QEMU takes a running guest to the/;
      expect(failed).toMatchObject([{ item: "qemu", message: expect.stringMatching(why) }]);
      const refused = await migrate("kvm2", "kvm1", { live: true });
      expectError(refused, 500, "unsupported", /cannot migrate: qemu: QEMU \S+ there is older/);
      expect(await leftOn(kvm1)).toEqual({ domains: [], files: [] });
      await expectRuns("kvm2");
    },
  );

  test("one that is off goes back with a warning, and runs there", TIMEOUT, async () => {
    const { kvm1, kvm2 } = pair;
    await startCounter(kvm1, ear);
    expectSuccess(await migrate("kvm1", "kvm2", { live: true }));
    await expectRuns("kvm2");
    await sh(kvm1, `rm ${DISK}; virsh -q pool-refresh default`);
    await kvm2.virsh("destroy", "vm");
    const { checks } = expectSuccess(await migrate("kvm2", "kvm1"));
    const warned = checks.filter(({ status }: { status: string }) => status === "warning");
    expect(warned.map(({ item }: { item: string }) => item)).toEqual(["libvirt", "qemu"]);
    await ear.stop();
    ear = await listen();
    await kvm1.virsh("start", "vm");
    await expectRuns("kvm1");
  });

  test(
    "one of UEFI that is off goes there, and what the older libvirt does not know is told before it goes back",
    TIMEOUT,
    async () => {
      const { kvm1, kvm2 } = pair;
      await startCounter(kvm1, ear, { guest: UEFI_AND_TPM });
      await kvm1.virsh("destroy", "vm");
      expectSuccess(await migrate("kvm1", "kvm2"));
      await ear.stop();
      ear = await listen();
      await kvm2.virsh("start", "vm");
      await expectRuns("kvm2");
      await kvm2.virsh("destroy", "vm");
      await sh(kvm1, `rm ${DISK}; virsh -q pool-refresh default`);
      const why = /^the domain cannot migrate: libvirt: .*older.*not take the definition: .*'itco'/;
      expectError(await migrate("kvm2", "kvm1"), 500, "unsupported", why);
      expect(await leftOn(kvm1)).toEqual({ domains: [], files: [] });
      expect((await leftOn(kvm2)).domains).toEqual(["vm"]);
    },
  );

  test("with UEFI and a TPM, whose state arrives", TIMEOUT, async () => {
    const { kvm1, kvm2 } = pair;
    await startCounter(kvm1, ear, { guest: UEFI_AND_TPM });
    const find = `find ${STATE_FOLDERS} -type f ! -name .lock -exec sha256sum {} + | sort -k 2`;
    const files = await sh(kvm1, find);
    expectSuccess(await migrate("kvm1", "kvm2", { live: true }));
    await expectRuns("kvm2");
    expect(await sh(kvm2, find)).toBe(files);
  });
});
