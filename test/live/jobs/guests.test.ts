/** A job that waits for the guest of a domain which it has made is cut off: the domain runs on, and the job says so. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import {
  expectNothingHeld,
  type JobHost,
  privateRows,
  startHost,
  stopHosts,
  volumes,
} from "../../fixtures/live/jobs.ts";
import { image, machine, names, virsh, wipe } from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";

const STATE = "/run/jobs-guests";
const rows = (statement: string) => privateRows(STATE, statement);
const start = () => startHost({ state: STATE, toml: "[limits]\nshutdown = 1\n" });
afterEach(async () => {
  await stopHosts();
  await wipe();
});
afterAll(stopHosts);

/** Nothing is on its disk, so that no agent ever answers. */
const wish = (name: string, timeout: number) => ({
  ...{ name, memory: 128, disks: [{ size: 1 }], networks: [], start: true },
  wait: { for: "agent", timeout },
});
const uuidOf = async (name: string) => (await virsh("domuuid", name)).trim();
const stateOf = async (name: string) => (await virsh("domstate", name)).trim();

async function untilWaiting(host: JobHost, id: string) {
  const phase = async () => (await host.job(id)).progress.phase ?? "";
  await until(
    "it waits for the guest",
    async () => /waiting for the guest|deploy: /.test(await phase()),
    60,
  );
}

async function expectThere(uuids: Record<string, string>, disks: string[]) {
  for (const [name, uuid] of Object.entries(uuids))
    expect([await uuidOf(name), await stateOf(name)]).toEqual([uuid, "running"]);
  expect(await volumes()).toEqual(disks);
  await expectNothingHeld(rows);
}

test("libvirtd is killed while domain/create waits: it waits on, and the domain is the same", {
  timeout: slow(120_000),
}, async () => {
  const host = await start();
  const id = await host.submit("/libvirt/domain/create", wish("web", 25));
  await untilWaiting(host, id);
  const web = await uuidOf("web");
  await stopLibvirtd("SIGKILL");
  await sleep(8000); // it looks every five seconds, besides what events tell
  await startLibvirtd();
  const { state, attempts, error } = await host.ended(id);
  expect([state, attempts]).toEqual(["failed", 1]);
  expect(error).toMatchObject({ code: "timed_out", uuid: web });
  expect(error.error).toMatch(/^wait: domain web .*; the domain is created and stays$/);
  await expectThere({ web }, ["web.qcow2"]);
});

const AGENT = xml`<channel type="unix"><target type="virtio" name="org.qemu.guest_agent.0"/></channel>`;

test.each(["is killed", "ends"])(
  "a worker %s while domains are waited for: all that were made run on",
  {
    timeout: slow(180_000),
  },
  async (how) => {
    const host = await start();
    await machine("base", { disks: [await image("base.raw")], devices: AGENT });
    const create = await host.submit("/libvirt/domain/create", wish("web", 600));
    const deploy = await host.submit("/libvirt/template/deploy", {
      ...{ template: "base", name_prefix: "many", count: 2, start: true },
      wait: { for: "agent", timeout: 600 },
    });
    for (const id of [create, deploy]) await untilWaiting(host, id);
    const running = async () => (await names()).filter((name) => name !== "base").join();
    await until("all are there", async () => (await running()) === "many-1,many-2,web", 30);
    const kept = "SELECT 1 FROM job_journal WHERE complete AND resources = '[]'";
    await until("all are waited for", async () => (await rows(kept)).length === 3, 30);
    const uuids: Record<string, string> = {};
    for (const name of await names()) if (name !== "base") uuids[name] = await uuidOf(name);
    await (how === "ends" ? host.stop() : host.kill());
    const next = await start();
    for (const [id, operations] of [
      [create, ["creation of domain web"]],
      [deploy, ["clone of base to many-1", "clone of base to many-2"]],
    ] as const) {
      const { state, attempts, error } = await next.ended(id);
      expect([state, attempts, error.code]).toEqual([
        "failed",
        how === "ends" ? 1 : 2,
        "outcome_unknown",
      ]);
      expect(error.kept.toSorted()).toEqual(operations);
      expect(error.error).toContain("what it had made before it waited stays");
    }
    await expectThere(uuids, ["base.raw", "many-1.raw", "many-2.raw", "web.qcow2"]);
  },
);
