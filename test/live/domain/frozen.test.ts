/**
 * One QEMU that does not answer holds up no call about anything else, and a call about its domain says what is old or
 * missing. libvirt 9.0 reads definitions all the same; from 11.3 on it waits (`waits`).
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { image, machine, start, virsh, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, processes, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import type { TestServer } from "../../server.ts";

const run = promisify(execFile);
const FROZEN = "vm 1";
const MARK = xml`<metadata><hypersdk:template xmlns:hypersdk="urn:hypersdk:template:1" source="s" created="2026-01-01T00:00:00Z" sealed="no"/></metadata>`;

let server: TestServer;
let waits: boolean;
const get = (path: string, from = server) => from.get(`/libvirt/${path}`);
const named = (path: string, name = FROZEN) => `${path}?name=${encodeURIComponent(name)}`;
const remove = (volume: string, from = server) =>
  from.post("/libvirt/volume/delete", { pool: "default", volume });

beforeAll(async () => {
  server = await start();
  const mac = xml`<interface type="user"><mac address="52:54:00:00:00:01"/></interface>`;
  await machine(FROZEN, { disks: [await image("one.qcow2")], devices: mac, metadata: MARK });
  await machine("vm 2", { disks: [await image("two.qcow2")] });
  for (const name of [FROZEN, "vm 2"]) await virsh("start", "--domain", name);
  for (const name of ["a.raw", "b.raw", "c.raw"]) await image(name, "1M");
});
afterEach(thaw);
afterAll(async () => {
  await wipe();
  await server.stop();
});

const pid = () => Number(readFileSync(`/run/libvirt/qemu/${FROZEN}.pid`, "utf8"));
function thaw() {
  for (const one of processes("qemu-system-x86_64")) process.kill(one, "SIGCONT");
}

/** Stops its QEMU, and leaves a call that waits for it. */
async function freeze() {
  process.kill(pid(), "SIGSTOP");
  run("virsh", ["domstats", "--block", FROZEN]).catch(() => {});
  await until("the call waits", async () =>
    /occupied \([1-9]/.test(await virsh("domcontrol", "--domain", FROZEN)),
  );
  const dump = run("virsh", ["dumpxml", FROZEN], { timeout: 2000 });
  waits = await dump.then(
    () => false,
    () => true,
  );
}

async function answers() {
  await until("it answers again", async () =>
    /^ok/.test(await virsh("domcontrol", "--domain", FROZEN)),
  );
}

test("calls about others are answered, and about itself with what was last known", {
  timeout: slow(60_000),
}, async () => {
  const [domain, consoles] = [named("domain"), named("console")];
  const before = [expectSuccess(await get(domain)), expectSuccess(await get(consoles))];
  const templates = expectSuccess(await get("template/list"));
  expectSuccess(await remove("a.raw"));
  await freeze();

  const old = waits ? expect.stringMatching(/^QEMU of domain vm 1 does not answer/) : undefined;
  const [one, screens] = [expectSuccess(await get(domain)), expectSuccess(await get(consoles))];
  expect(one).toEqual({ ...before[0], reasons: one.reasons });
  expect(one.reasons.disks).toEqual(old);
  expect(screens).toEqual({ ...before[1], reasons: screens.reasons });
  expect(screens.reasons.graphics).toEqual(old);
  expect(expectSuccess(await get("template/list"))).toEqual(templates);
  expectSuccess(await get(named("domain", "vm 2")));
  expectSuccess(await remove("b.raw"));
  expectError(await remove("two.qcow2"), 500, "in_use", /running domain vm 2/);
  expectError(await remove("one.qcow2"), 500, "in_use", /running domain vm 1/);
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  expect(metrics).toContain('libvirt_domain_timed_out{domain="vm 1"} 1');
  for (const name of [FROZEN, "vm 2"])
    expect(metrics).toMatch(new RegExp(`libvirt_domain_block_stats_info\\{domain="${name}"`));
  if (waits) {
    const detach = { vm_name: FROZEN, mac: "52:54:00:00:00:01" };
    const answer = await server.post("/libvirt/interface/detach", detach);
    expectError(answer, 504, "timed_out", /^QEMU of domain vm 1 .*nothing was changed/);
  }
  thaw();
  await answers();
  await until("its definition is read again", async () => {
    const { reasons } = expectSuccess(await get(domain));
    return Object.keys(reasons).length === 0;
  });
});

test("a server that has never read it says so, and refuses what hangs on it", {
  timeout: slow(60_000),
}, async () => {
  await freeze();
  const fresh = await start();
  try {
    const one = expectSuccess(await get(named("domain"), fresh));
    expect(one).toMatchObject({ name: FROZEN, state: "running" });
    expectSuccess(await get(named("domain", "vm 2"), fresh));
    const { templates } = expectSuccess(await get("template/list", fresh));
    if (waits) {
      expect(one).toMatchObject({ disks: [], os: { type: null } });
      expect(one.reasons.disks).toMatch(/was not read before/);
      expect(templates).toMatchObject([{ name: FROZEN, why: ["unknown"] }]);
      expectError(await remove("c.raw", fresh), 504, "timed_out", /^QEMU of domain vm 1 /);
    } else {
      expect(one.reasons).toEqual({});
      expect(templates).toMatchObject([{ name: FROZEN, why: ["marked"] }]);
      expectSuccess(await remove("c.raw", fresh));
    }
  } finally {
    thaw();
    await fresh.stop();
  }
});
