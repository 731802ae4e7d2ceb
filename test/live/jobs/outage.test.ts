/** The database or libvirtd goes while a job is at work: it goes on, or ends with a clear error; nothing is left. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeAll, expect, test } from "vitest";
import {
  expectNothingHeld,
  type JobHost,
  jobPrograms,
  privateRows,
  startHost,
  stopHosts,
  volumes,
} from "../../fixtures/live/jobs.ts";
import { at, image, machine, names, programs, same, wipe } from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";

const STATE = "/run/jobs-outage";
const rows = (statement: string) => privateRows(STATE, statement);
let host: JobHost;

const start = () => {
  const wait = 'while [ -e /run/hold ]; do sleep 0.1; done; exec $REAL "$@"';
  const bin = programs("/run/bin-outage", { "qemu-img": wait });
  const toml = "[limits]\nshutdown = 1\n";
  return startHost({ state: STATE, toml, env: { PATH: `${bin}:${process.env.PATH}` } });
};
beforeAll(async () => {
  host = await start();
});
afterEach(async () => {
  rmSync("/run/hold", { force: true });
  await wipe();
});

/** A clone whose copy waits until `/run/hold` is gone. */
async function begin(more: object = {}) {
  await machine("base", { disks: [await image("base.raw")] });
  writeFileSync("/run/hold", "");
  const id = await host.submit("/libvirt/clone", { source: "base", target: "copy", ...more });
  await until("it copies", () => jobPrograms(id).some((line) => /convert/.test(line)), 20);
  return id;
}

const postmaster = () =>
  Number(readFileSync(`${STATE}/hypersdk/postgres/postmaster.pid`, "utf8").split("\n")[0]);

async function expectCopy() {
  expect(await names()).toEqual(["base", "copy"]);
  expect(await volumes()).toEqual(["base.raw", "copy.raw"]);
  expect(await same(at("copy.raw"), at("base.raw"))).toBe(true);
  await expectNothingHeld(rows);
}

test.each([
  ["a moment", 200],
  ["longer than a worker may be silent", 10_000],
])("PostgreSQL is killed for %s: the job goes on, and is begun once", async (_, ms) => {
  const id = await begin();
  process.kill(postmaster(), "SIGKILL");
  process.kill(host.pid, "SIGSTOP"); // so that it stays away
  await sleep(ms);
  process.kill(host.pid, "SIGCONT");
  await sleep(1000);
  rmSync("/run/hold");
  const { state, attempts } = await host.ended(id, 60);
  expect([state, attempts]).toEqual(["completed", 1]);
  await expectCopy();
});

test("PostgreSQL is killed again and again while a clone is made", async () => {
  await machine("base", { disks: [await image("base.raw"), await image("second.raw")] });
  const answers = () =>
    rows("SELECT 1").then(
      () => true,
      () => false,
    );
  for (let i = 0; i < 5; i++) {
    const id = await host.submit("/libvirt/clone", { source: "base", target: `copy-${i}` });
    await sleep(Math.random() * 600);
    process.kill(postmaster(), "SIGKILL");
    const { state, attempts, error } = await host.ended(id, 60);
    expect([state, attempts, error]).toEqual(["completed", 1, null]);
    await until("PostgreSQL is back", answers, 30); // it may have been killed after the job's end
  }
  expect(await names()).toEqual(["base", ...[0, 1, 2, 3, 4].map((i) => `copy-${i}`)]);
  await expectNothingHeld(rows);
});

test("libvirtd is restarted while a job copies: it is completed", async () => {
  const id = await begin();
  await stopLibvirtd("SIGKILL");
  await startLibvirtd();
  rmSync("/run/hold");
  expect((await host.ended(id)).state).toBe("completed");
  await expectCopy();
});

test("libvirtd is away when a job needs it: nothing is left, and the job is done again once it is back", async () => {
  const id = await begin();
  await stopLibvirtd("SIGKILL");
  rmSync("/run/hold");
  await sleep(2500);
  const { state, attempts } = await host.job(id);
  await startLibvirtd();
  expect([state, attempts]).toEqual(["running", 1]);
  const { state: last, attempts: begun, error } = await host.ended(id);
  expect([last, begun, error]).toEqual(["completed", 2, null]);
  await expectCopy();
});

test("what may not be repeated fails when libvirtd is away, once nothing is left", async () => {
  const id = await begin({ preserve: false });
  await stopLibvirtd("SIGKILL");
  rmSync("/run/hold");
  await sleep(2500);
  const { state } = await host.job(id);
  await startLibvirtd();
  const { state: last, attempts, error } = await host.ended(id);
  expect([state, last, attempts]).toEqual(["running", "failed", 1]);
  expect(error).toMatchObject({ code: "unreachable" });
  expect(error.error).not.toMatch(/left behind/);
  expect(await names()).toEqual(["base"]);
  expect(await volumes()).toEqual(["base.raw"]);
  await expectNothingHeld(rows);
});

test("libvirtd ends whenever the job needs it: after five attempts the job has failed, with the reason", async () => {
  const id = await begin();
  for (let attempt = 1; attempt <= 5; attempt++) {
    await until("it copies", () => jobPrograms(id).some((line) => /convert/.test(line)), 60);
    await stopLibvirtd("SIGKILL");
    rmSync("/run/hold");
    await until("the copy has ended", () => jobPrograms(id).length === 0, 20);
    writeFileSync("/run/hold", "");
    await sleep(500);
    await startLibvirtd();
  }
  const { state, attempts, error } = await host.ended(id);
  expect([state, attempts]).toEqual(["failed", 5]);
  expect(error).toMatchObject({ code: expect.stringMatching(/^(unreachable|outcome_unknown)$/) });
  expect(await names()).toEqual(["base"]);
  expect(await volumes()).toEqual(["base.raw"]);
  await expectNothingHeld(rows);
});

test("clone/multiple is done again as a whole when libvirtd is away in the middle", async () => {
  await machine("base", { disks: [await image("base.raw")] });
  const input = { source: "base", name_prefix: "m", count: 6 };
  const id = await host.submit("/libvirt/clone/multiple", input);
  await until("some are complete", async () => (await names()).length > 2, 30);
  await stopLibvirtd("SIGKILL");
  await sleep(1500);
  await startLibvirtd();
  const { state, attempts, result } = await host.ended(id);
  expect([state, attempts, result.successful]).toEqual(["completed", 2, 6]);
  expect(await names()).toEqual(["base", ...[1, 2, 3, 4, 5, 6].map((i) => `m-${i}`)]);
  await expectNothingHeld(rows);
});

test("SIGTERM in the middle: the job is given back, and the next start does it", async () => {
  const id = await begin();
  await host.stop();
  expect(jobPrograms()).toEqual([]);
  expect(await volumes()).toEqual(["base.raw"]);
  rmSync("/run/hold");
  host = await start();
  const { state, attempts } = await host.ended(id);
  expect([state, attempts]).toEqual(["completed", 2]);
  await expectCopy();
  await stopHosts();
});
