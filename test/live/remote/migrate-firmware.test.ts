/** A running guest with UEFI and a TPM moves with the firmware's variables and the TPM's state, there and back. */
import { afterEach, beforeEach, expect, test } from "vitest";
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
import { expectSuccess } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { Machine } from "../../lab/machine.ts";

const pair = labPair();
let ear: Ear;
beforeEach(async () => {
  ear = await listen();
});
afterEach(() => ear.stop());

const migrate = (from: string, to: string) => {
  const wish = { name: "vm", to, live: true, copy_storage: "all" };
  return pair.server.post(`/libvirt/domain/migrate?host=${from}`, wish);
};

/** libvirt indents metadata anew with each definition. */
const storedOn = async ({ virsh }: Machine) =>
  (await virsh("dumpxml", "vm", "--inactive", "--security-info")).replace(/>\s+</g, "><");
const stateFiles = (machine: Machine) =>
  sh(machine, `find ${STATE_FOLDERS} -type f ! -name .lock -exec sha256sum {} + | sort -k 2`);

test("variables, TPM and the stored definition arrive as they were, and nothing of them stays", {
  timeout: slow(240_000),
}, async () => {
  const { kvm1 } = pair;
  await startCounter(kvm1, ear, { guest: UEFI_AND_TPM });
  const [definition, files] = [await storedOn(kvm1), await stateFiles(kvm1)];
  expect(files).toMatch(/vm_VARS\.fd\n.*tpm2-00\.permall\n$/);
  const fresh = (await sh(kvm1, "sha256sum /usr/share/OVMF/OVMF_VARS*")).match(/^\w+/gm) ?? [];
  expect(fresh, "the firmware has written variables").not.toContain(files.slice(0, 64));

  const move = async (from: "kvm1" | "kvm2", to: "kvm1" | "kvm2") => {
    const [source, target] = [pair[from], pair[to]];
    expect(expectSuccess(await migrate(from, to)).source).toBe("undefined");
    expect([await stateOf(source), await stateOf(target)]).toEqual(["none", "running"]);
    await expectGoesOn(ear);
    expect(await storedOn(target)).toBe(definition);
    expect(await stateFiles(target)).toBe(files);
    expect(await leftOn(source)).toEqual({ domains: [], files: [DISK] });
    await sh(source, `rm ${DISK}; virsh -q pool-refresh default`);
  };
  await move("kvm1", "kvm2");
  await move("kvm2", "kvm1");
});

test("a migration that fails leaves the guest its TPM and variables, and none on the target", {
  timeout: slow(240_000),
}, async () => {
  const { kvm1, kvm2 } = pair;
  await startCounter(kvm1, ear, { guest: UEFI_AND_TPM, mib: 60, size: "100M" });
  const files = await stateFiles(kvm1);
  const wish = { name: "vm", to: "kvm2", live: true, copy_storage: "all" };
  const slowly = { ...wish, bandwidth: 1, timeout: 8 };
  const { status } = await pair.server.post("/libvirt/domain/migrate?host=kvm1", slowly);
  expect(status).toBe(504);
  expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
  expect(await stateFiles(kvm1)).toBe(files);
  await expectGoesOn(ear);
  expectSuccess(await migrate("kvm1", "kvm2"));
  expect(await stateFiles(kvm2)).toBe(files);
  await expectGoesOn(ear);
});
