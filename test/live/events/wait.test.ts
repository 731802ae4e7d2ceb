/** Calls that wait: for what the domain does, which libvirt's events tell. */
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "vitest";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { image, start, wipe } from "../../fixtures/live/machine.ts";
import { expectError, expectSuccess, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const { test, server } = labTest({ start: () => start(), tidy: wipe });
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();
const wait = { for: "state", timeout: slow(30) };
const NAME = "it's: 007";

test("start and reboot, until the domain runs", { timeout: slow(60_000) }, async ({ machine }) => {
  await machine(NAME);
  const started = expectSuccess(await server.post("/libvirt/domain/start", { name: NAME, wait }));
  expect(started).toMatchObject({ name: NAME, guest: { state: "running", addresses: [] } });
  expect(await state(NAME)).toBe("running");
  const batch = { domains: [NAME], force: true, wait };
  const { body } = await server.post("/libvirt/batch/reboot", batch);
  expect(body.results).toMatchObject([{ success: true, guest: { state: "running" } }]);
  // nothing in it listens, so it does not reboot
  const late = { name: NAME, wait: { for: "state", timeout: 1 } };
  const answer = await server.post("/libvirt/domain/reboot", late);
  expectError(answer, 504, "timed_out", /asked to reboot, but it has not within 1 s/);
});

test("shutdown and batch/stop, until it is off", { timeout: slow(60_000) }, async ({ machine }) => {
  await machine(NAME);
  for (const [path, input] of [
    ["domain/shutdown", { name: NAME, wait }],
    ["batch/stop", { domains: [NAME], wait }],
    ["batch/stop", { domains: [NAME], timeout: wait.timeout }],
  ] as const) {
    await virsh("start", "--domain", NAME);
    const asked = server.post(`/libvirt/${path}`, input);
    await sleep(500);
    expect(await state(NAME)).toBe("running");
    await virsh("destroy", "--domain", NAME);
    const answer = await asked;
    expect(answer.status).toBe(200);
    expect(answer.body.data ?? answer.body.results[0]).toMatchObject({ state: "shut off" });
  }
  await virsh("start", "--domain", NAME);
  const late = { name: NAME, wait: { for: "state", timeout: 1 } };
  const answer = await server.post("/libvirt/domain/shutdown", late);
  expectError(answer, 504, "timed_out", /asked to shut down, but still running after 1 s/);
  const both = { domains: [NAME], wait, timeout: 1 };
  expectError(await server.post("/libvirt/batch/stop", both), 400, "invalid_input", /^timeout: /);
});

test("a snapshot, until the guest goes on", { timeout: slow(60_000) }, async ({ machine }) => {
  await machine(NAME, { disks: [await image("d.qcow2", "8M")] });
  await virsh("start", "--domain", NAME);
  const input = { domain_name: NAME, snapshot_name: "s", wait };
  const taken = expectSuccess(await server.post("/libvirt/snapshot/create", input), 201);
  expect(taken).toMatchObject({ name: "s", guest: { state: "running" } });
  const { body } = await server.post("/libvirt/batch/snapshot", { domains: [NAME], wait });
  expect(body.results).toMatchObject([{ success: true, guest: { state: "running" } }]);
  await virsh("destroy", "--domain", NAME);
  const off = { domain_name: NAME, snapshot_name: "off", wait };
  expect(expectSuccess(await server.post("/libvirt/snapshot/create", off), 201)).not.toHaveProperty(
    "guest",
  );
  for (const name of (await virsh("snapshot-list", "--domain", NAME, "--name")).split("\n"))
    if (name) await virsh("snapshot-delete", "--domain", NAME, "--snapshotname", name);
});

test("a guest that cannot be seen so is refused before anything begins", async ({ machine }) => {
  await machine(NAME);
  const agent = { for: "agent" };
  const answer = await server.post("/libvirt/domain/start", { name: NAME, wait: agent });
  expectError(answer, 500, "unsupported", /^wait: the domain has no channel of the guest agent/);
  expect(await state(NAME)).toBe("shut off");
  await until("nothing more", async () => (await state(NAME)) === "shut off");
});
