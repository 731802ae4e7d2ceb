/** How far slow calls are, as their own engines tell while they run on a real libvirt. */
import { rmSync } from "node:fs";
import { afterEach, describe, expect, test } from "vitest";
import cloneMany from "../../../functions/libvirt/clone/multiple.ts";
import clone from "../../../functions/libvirt/clone.ts";
import snapshot from "../../../functions/libvirt/snapshot/create.ts";
import exportTemplate from "../../../functions/libvirt/template/export.ts";
import cloneVolume from "../../../functions/libvirt/volume/clone.ts";
import type { ProgressUpdate } from "../../../runtime/core/progress.ts";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { at, machine, sh, virsh, wipe } from "../../fixtures/live/machine.ts";
import { tinyGuest } from "../../lab/guest.ts";

const MiB = 2 ** 20;
afterEach(wipe);

/** An image with so many MiB that nothing can compress or skip. */
async function dense(name: string, mib: number) {
  await sh(
    `head -c ${mib}M /dev/urandom >raw.tmp; qemu-img convert -O qcow2 raw.tmp ${name}; rm raw.tmp`,
  );
  await virsh("pool-refresh", "default");
  return at(name);
}

function listener() {
  const updates: ProgressUpdate[] = [];
  return { updates, progress: (update: ProgressUpdate) => void updates.push(update) };
}

/** The known percents: they never fall, and are 100 at the end alone. */
function percentsOf(updates: ProgressUpdate[]): number[] {
  const known = updates.flatMap(({ percent }) => percent ?? []);
  expect(known).toEqual([...known].sort((a, b) => a - b));
  expect(known.filter((one) => one === 100)).toEqual([100]);
  expect(updates.at(-1)).toMatchObject({ phase: "done", percent: 100 });
  return known;
}

describe("percents rise to 100", () => {
  test("clone of 300 MiB and of a small disk: weighted by bytes", async () => {
    const disks = [await dense("base.qcow2", 300), await dense("small.qcow2", 20)];
    await machine("base", { disks });
    const { updates, progress } = listener();
    await clone({ source: "base", target: "copy" }, { progress });
    const percents = percentsOf(updates);
    expect(new Set(percents).size).toBeGreaterThan(10);
    const phases = [...new Set(updates.map(({ phase }) => phase))];
    expect(phases).toEqual([
      ...["waiting to copy disk vda", "copying disk vda"],
      ...["waiting to copy disk vdb", "copying disk vdb", "defining the domain", "done"],
    ]);
    const large = updates.findLast(({ phase }) => phase === "copying disk vda");
    expect(large?.percent).toBeGreaterThan(90);
    expect(large?.percent).toBeLessThan(97);
    expect(large?.total).toBeGreaterThan(320 * MiB);
    expect(large?.total).toBeLessThan(330 * MiB);
  });

  test("clone/multiple counts domains, and what is done of each", async () => {
    await machine("base", { disks: [await dense("base.qcow2", 50)] });
    const { updates, progress } = listener();
    await cloneMany({ source: "base", name_prefix: "copy", count: 3 }, { progress });
    expect(new Set(percentsOf(updates)).size).toBeGreaterThan(10);
    expect(updates.at(-2)?.phase).toBe("clone: 3 of 3 domains done");
  });

  test("export, compressed", async () => {
    await machine("base", { disks: [await dense("base.qcow2", 100)] });
    const { updates, progress } = listener();
    const input = { template: "base", export_path: "/var/lib/libvirt/exports", compress: true };
    await exportTemplate(input, { progress });
    expect(new Set(percentsOf(updates)).size).toBeGreaterThan(10);
    const sums = updates.find(({ phase }) => phase === "computing checksums");
    expect(sums).toMatchObject({ percent: null, bytes: 0 });
    expect(sums?.total).toBeGreaterThan(100 * MiB);
  });

  test("volume/clone, which libvirtd does: by the space that the copy takes", async () => {
    await sh(`head -c 1500M /dev/urandom >big.raw`);
    await virsh("pool-refresh", "default");
    const { updates, progress } = listener();
    const input = { pool: "default", source_volume: "big.raw", target_volume: "copy.raw" };
    await cloneVolume(input, { progress });
    // a file system may need some blocks of its own for a file
    const seen = updates.filter(({ total = 0 }) => Math.round(total / MiB) === 1500);
    expect(seen.length, JSON.stringify(updates)).toBeGreaterThan(1);
    expect(percentsOf(updates).length).toBeGreaterThan(1);
  });
});

/** A running machine whose memory holds this much that cannot be compressed. */
async function fullMachine(mib: number) {
  const { kernel, initrd } = await tinyGuest();
  const large = "/run/large.initrd";
  await sh(`head -c ${mib}M /dev/urandom | cat ${initrd} - >${large}`);
  const os = xml`<os><type arch="x86_64" machine="pc">hvm</type><kernel>${kernel}</kernel><initrd>${large}</initrd><cmdline>console=ttyS0 quiet</cmdline></os>`;
  await machine("full", { disks: [await dense("full.qcow2", 1)], os });
  await virsh("setmaxmem", "full", `${mib + 1200}M`, "--config");
  await virsh("setmem", "full", `${mib + 1200}M`, "--config");
  await virsh("start", "full");
  rmSync(large);
}

describe("a machine's memory", () => {
  test("goes into an internal snapshot: bytes, and no percent until the end", async () => {
    await fullMachine(1200); // a fast machine writes 700 MiB before the first look
    let bytes: number[] = [];
    // on a busy machine QEMU may answer none of the looks meanwhile
    for (let tries = 1; tries <= 4 && bytes.length === 0; tries++) {
      const { updates, progress } = listener();
      await snapshot({ domain_name: "full", snapshot_name: `s${tries}` }, { progress });
      expect(percentsOf(updates)).toEqual([100]);
      bytes = updates.slice(0, -1).flatMap((update) => update.bytes ?? []);
    }
    expect(bytes.length).toBeGreaterThan(0);
    expect(bytes.at(-1)).toBeGreaterThan(MiB);
  });
});
