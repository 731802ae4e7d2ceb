/** A hypervisor is emptied, a plan is judged, and a domain goes back to where it was. */
import { expect, test } from "vitest";
import { counterGuest, listen } from "../../fixtures/live/counter.ts";
import { stopHosts } from "../../fixtures/live/jobs.ts";
import { labPair } from "../../fixtures/live/migrating.ts";
import { startMover } from "../../fixtures/live/moving.ts";
import { define, leftOn, STORE } from "../../fixtures/live/pair.ts";
import { expectError, expectSuccess, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const pair = labPair();

const post = (path: string, body: object, host = "kvm1") =>
  pair.server.post(`${path}?host=${host}`, body);

const off = (name: string, devices = "") =>
  `<domain type='qemu'><name>${name}</name><memory unit='MiB'>32</memory><vcpu>1</vcpu><os><type arch='x86_64' machine='pc'>hvm</type></os><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='${STORE}/${name}.qcow2'/><target dev='vda' bus='virtio'/></disk><controller type='usb' model='none'/>${devices}</devices></domain>`;

async function make(...names: string[]) {
  const { kvm1 } = pair;
  for (const name of names)
    await kvm1.run("qemu-img", "create", "-q", "-f", "qcow2", `${STORE}/${name}.qcow2`, "32M");
  await kvm1.virsh("pool-refresh", "default");
}

test("drain: what runs and what is off moves, what cannot is told", {
  timeout: slow(120_000),
}, async () => {
  const { kvm1, kvm2 } = pair;
  const ear = await listen();
  await make("one", "two", "vm", "bound");
  await define(kvm1, off("one"));
  await define(kvm1, off("two"));
  const net = "<interface type='network'><source network='nowhere'/></interface>";
  await define(kvm1, off("bound", net));
  await define(kvm1, await counterGuest("vm", { disk: `${STORE}/vm.qcow2` }));
  await kvm1.virsh("start", "vm");
  await until("it counts", () => ear.last() > 20, slow(60));
  const wish = { host: "kvm1", to: ["kvm2"], copy_storage: "all" };
  const dry = expectSuccess(await post("/hosts/drain", { ...wish, dry_run: true }));
  expect(dry).toMatchObject({ total: 4, moved: 3, dry_run: true });
  expect(await leftOn(kvm2)).toEqual({ domains: [], files: [] });
  const data = expectSuccess(await post("/hosts/drain", wish, "kvm2"));
  expect(data).toMatchObject({ total: 4, moved: 3 });
  const bound = data.domains.find(({ name }: { name: string }) => name === "bound");
  expect(bound).toMatchObject({
    ...{ success: false, to: null, code: "unsupported" },
    error: expect.stringMatching(
      /^no hypervisor can take it; kvm2: network: kvm2 has no network nowhere/,
    ),
  });
  expect((await leftOn(kvm1)).domains).toEqual(["bound"]);
  expect((await leftOn(kvm2)).domains.sort()).toEqual(["one", "two", "vm"]);
  const from = ear.last();
  await until("it goes on", () => ear.last() > from + 20, slow(30));
  expect(ear.wrong).toEqual([]);
  await ear.stop();
  expectError(await post("/hosts/drain", { ...wish, to: ["kvm1"] }), 400, "invalid_input", /^to: /);
});

test("drain as a job leaves a domain to the job that has it, and others wait for what it has", {
  timeout: slow(180_000),
}, async () => {
  const { kvm1, kvm2 } = pair;
  const host = await startMover(pair, "/run/drainer");
  const ear = await listen();
  await make("one");
  await kvm1.run("qemu-img", "create", "-q", "-f", "qcow2", `${STORE}/vm.qcow2`, "1G");
  await kvm1.virsh("pool-refresh", "default");
  await define(kvm1, off("one"));
  await define(kvm1, await counterGuest("vm", { disk: `${STORE}/vm.qcow2` }));
  await kvm1.virsh("start", "vm");
  await until("it counts", () => ear.last() > 20, slow(60));
  const at = { host: "kvm1" };
  const isAtWork = async (id: string) => /migrating/.test(`${(await host.job(id)).progress.phase}`);
  const slowly = { copy_storage: "all", bandwidth: 1 };
  const first = { name: "vm", to: "kvm2", live: true, ...slowly };
  const mover = await host.submit("/libvirt/domain/migrate", first, at);
  await until("it is at work", () => isAtWork(mover), slow(60));
  const wish = { host: "kvm1", to: ["kvm2"], ...slowly };
  const { result } = await host.ended(await host.submit("/hosts/drain", wish, at), slow(60));
  expect(result.data.domains).toMatchObject([
    { name: "vm", success: false, code: "in_use", error: `job ${mover} works on domain kvm1/vm` },
    { name: "one", success: true, to: "kvm2" },
  ]);
  await host.post("/jobs/cancel", { job_ids: [mover] });
  expect((await host.ended(mover, slow(60))).state).toBe("cancelled");
  const drainer = await host.submit("/hosts/drain", wish, at);
  await until("it is at work", () => isAtWork(drainer), slow(60));
  const tag = { domains: ["vm"], tags: ["moved"] };
  const waiting = await host.submit("/tags/assign", tag, at);
  const why = async () => (await host.get(`/jobs/${waiting}`)).body.data.waiting_for;
  await until("it waits", async () => (await why())?.includes(drainer), slow(30));
  expect(await why()).toBe(`job ${drainer}, which works on domain kvm1/vm`);
  await host.post("/jobs/cancel", { job_ids: [drainer] });
  expect((await host.ended(drainer, slow(60))).state).toBe("cancelled");
  expect((await host.ended(waiting, slow(60))).state).toBe("completed");
  expect([(await leftOn(kvm1)).domains, (await leftOn(kvm2)).domains]).toEqual([["vm"], ["one"]]);
  await ear.stop();
  await stopHosts();
});

test("wizard: the servers, a verdict for each step, and the jobs", async () => {
  const { kvm1 } = pair;
  const { servers, steps, jobs } = expectSuccess(await pair.server.get("/migration/wizard"));
  const known = servers.map(
    ({ host, reachable }: Record<string, unknown>) => `${host} ${reachable}`,
  );
  expect(known).toEqual(["kvm1 true", "kvm2 true", "local true"]);
  expect(steps[0]).toMatchObject({ step: "source", status: "missing" });
  expect(jobs).toEqual([]);
  await make("one");
  await define(kvm1, off("one"));
  const plan = {
    source: { type: "libvirt", server: "kvm1" },
    destination: { type: "libvirt", location: "kvm2" },
    vms: ["one", "none"],
    options: { copy_storage: "all" },
  };
  const judged = expectSuccess(await post("/migration/wizard", plan));
  expect(judged.vms).toMatchObject([
    { name: "one", status: "pass" },
    { name: "none", status: "fail" },
  ]);
  expect(judged.jobs).toMatchObject([
    {
      function: "/libvirt/domain/migrate",
      host: "kvm1",
      input: { copy_storage: "all", name: "one", to: "kvm2" },
    },
  ]);
});

test("rollback: to a snapshot, and to the hypervisor that still has it", async () => {
  const { kvm1, kvm2 } = pair;
  await make("one");
  await define(kvm1, off("one"));
  await kvm1.virsh("snapshot-create-as", "one", "before");
  const back = (backup_id: string, host: string) =>
    post("/migration/rollback", { vm_id: "one", backup_id }, host);
  expectError(await back("never", "kvm1"), 404, "not_found", /^backup_id: /);
  expectError(await back("kvm2", "kvm1"), 404, "not_found", /kvm2 has domain one no more/);
  expect(expectSuccess(await back("before", "kvm1"))).toMatchObject({ action: "reverted" });
  const wish = { name: "one", to: "kvm2", copy_storage: "all", undefine_source: false };
  expectSuccess(await post("/libvirt/domain/migrate", wish));
  await kvm2.virsh("start", "one");
  expectError(await back("kvm1", "kvm2"), 500, "in_use", /^vm_id: domain one is running here/);
  await kvm2.virsh("destroy", "one");
  const data = expectSuccess(await back("kvm1", "kvm2"));
  expect(data).toMatchObject({
    ...{ action: "returned", host: "kvm1", state: "shut off" },
    kept_files: [`${STORE}/one.qcow2`],
  });
  expect((await leftOn(kvm2)).domains).toEqual([]);
  expect((await leftOn(kvm1)).domains).toEqual(["one"]);
});
