/** Ten linked clones of a real 2 GiB Debian: each boots, from an overlay of its own, and the base keeps its bytes. */
import { copyFileSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import {
  at,
  diskPaths,
  everything,
  imageInfo,
  look,
  machine,
  start,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { debianGuest, debianOs } from "../../lab/debian.ts";

const { test, server } = labTest({ start, tidy: wipe });

/** Memory and processors are there for so many at a time. */
const AT_ONCE = 3;

test("ten linked clones of a 2 GiB Debian all boot", { timeout: slow(450_000) }, async () => {
  copyFileSync(debianGuest().disk, at("debian.qcow2"));
  await virsh("pool-refresh", "default");
  const os = debianOs("systemd.unit=booted.service");
  await machine("debian", { disks: [at("debian.qcow2")], os, console: "/run/debian.log" });
  expect((await imageInfo(at("debian.qcow2")))["virtual-size"]).toBe(2 * 2 ** 30);
  const before = await everything();

  const input = { source: "debian", name_prefix: "node", count: 10, linked: true };
  const cloned = await server.post("/libvirt/clone/multiple", input);
  expect(cloned.body).toMatchObject({ successful: 10, failed: 0 });
  const names = cloned.body.results.map(({ domain }: { domain: string }) => domain);
  const isOff = async (name: string) => (await virsh("domstate", name)).trim() === "shut off";
  for (let i = 0; i < names.length; i += AT_ONCE) {
    const domains = names.slice(i, i + AT_ONCE);
    const started = await server.post("/libvirt/batch/start", { domains });
    expect(started.body).toMatchObject({ successful: domains.length });
    for (const name of domains) await until(`${name} boots and is off`, () => isOff(name), 120);
  }

  const uuids = new Set<string>();
  for (const name of names) {
    const overlay = at(`${name}.qcow2`);
    expect(await diskPaths(name)).toEqual([overlay]);
    expect((await imageInfo(overlay))["backing-filename"]).toBe(at("debian.qcow2"));
    // systemd's unit said on the console and wrote to its disk which machine it runs in
    const uuid = (await virsh("domuuid", name)).trim();
    expect(readFileSync(`/run/${name}.log`, "utf8")).toContain(`BOOTED ${uuid}`);
    expect(await look(overlay, "cat /booted")).toBe(`BOOTED ${uuid}\n`);
    uuids.add(uuid);
  }
  expect(uuids.size).toBe(10);
  expect(await look(at("debian.qcow2"), "cat /booted")).toBe("");
  expect((await everything()).files).toMatchObject(before.files);
});
