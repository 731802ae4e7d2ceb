/** Cancelling: what a job has made is gone within a moment, and a job that waits never begins. */
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import {
  expectNothingHeld,
  type JobHost,
  jobPrograms,
  privateRows,
  startHost,
  stopHosts,
  volumes,
} from "../../fixtures/live/jobs.ts";
import {
  at,
  image,
  machine,
  names,
  programs,
  STORE,
  sh,
  virsh,
  wipe,
} from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const GiB = 2 ** 30;
const STATE = "/run/jobs-cancel";
const BIN = "/run/bin-cancel";
let host: JobHost;
beforeAll(async () => {
  const bin = programs(BIN, { "qemu-img": '[ ! -e /run/slow ] || sleep 20; exec $REAL "$@"' });
  const env = { PATH: `${bin}:${process.env.PATH}` };
  host = await startHost({ state: STATE, toml: "[clone]\ncopies = 1\n", env });
});
afterEach(async () => {
  rmSync("/run/slow", { force: true });
  await wipe();
});
afterAll(stopHosts);

const rows = (statement: string) => privateRows(STATE, statement);
const used = () => {
  const { blocks, bfree, bsize } = statfsSync(STORE);
  return (blocks - bfree) * bsize;
};
const cancel = (...ids: string[]) => host.post("/jobs/cancel", { job_ids: ids });

async function bigMachine(name: string) {
  await sh(`head -c 2G /dev/zero | tr '\\0' 'x' >${name}.raw`);
  await virsh("pool-refresh", "default");
  await machine(name, { disks: [at(`${name}.raw`)] });
}

test("a clone of 2 GiB: its space is free within 2 s, and nothing is left", async () => {
  await bigMachine("base");
  const before = used();
  const id = await host.submit("/libvirt/clone", { source: "base", target: "copy" });
  await until("it copies", () => used() > before + GiB / 4, 30);
  const began = performance.now();
  const { status, body } = await cancel(id);
  expect([status, body.cancelling]).toEqual([200, [id]]);
  const states = new Set<string>();
  await until(
    "it is cancelled",
    async () => {
      const { state } = await host.job(id);
      states.add(state);
      return state === "cancelled";
    },
    10,
  );
  // the kernel frees a file when its last process has ended, which needs a moment
  await until("its space is free", () => used() - before < 2 ** 20, 2);
  const ms = performance.now() - began;
  console.log(`cancelled after ${Math.round(ms)} ms`);
  expect(ms).toBeLessThan(slow(2000));
  expect([...states].every((state) => ["cancelling", "cancelled"].includes(state))).toBe(true);
  expect(await names()).toEqual(["base"]);
  expect(await volumes()).toEqual(["base.raw"]);
  expect((await host.job(id)).error).toMatchObject({ code: "cancelled" });
  await expectNothingHeld(rows);
});

test("a job that waits for a place or for a domain never begins", async () => {
  await machine("base", { disks: [await image("base.raw")] });
  await machine("other", {});
  writeFileSync("/run/slow", "");
  const first = await host.submit("/libvirt/clone", { source: "base", target: "copy" });
  await until("it copies", () => jobPrograms(first).some((line) => /convert/.test(line)), 30);
  // the second changes what the first reads; the third waits for the only place for copies
  const second = await host.submit("/libvirt/domain/rename", { name: "base", new_name: "b2" });
  const third = await host.submit("/libvirt/clone", { source: "base", target: "copy3" });
  const parked = "SELECT id FROM job WHERE parked";
  await until("it is parked", async () => (await rows(parked)).some(({ id }) => id === second));
  await until("the third has begun", async () => (await host.job(third)).state === "running");
  const { body } = await cancel(second, third);
  expect(body.cancelled).toEqual([second]);
  expect(body.cancelling).toEqual([third]);
  expect((await host.job(second)).attempts).toBe(0);
  await until("the third ends", async () => (await host.job(third)).state === "cancelled", 5);
  expect((await cancel(first)).body.cancelling).toEqual([first]);
  expect((await host.ended(first)).state).toBe("cancelled");
  const again = await cancel(first);
  expect(again.body.errors[first]).toMatchObject({ code: "not_active" });
  expect(await names()).toEqual(["base", "other"]);
  expect(await volumes()).toEqual(["base.raw"]);
  expect((await host.job(second)).attempts).toBe(0);
  await expectNothingHeld(rows);
});

test("clone/multiple: none of its domains stays, be it complete or not", async () => {
  await sh(`head -c 200M /dev/urandom >base.raw`);
  await virsh("pool-refresh", "default");
  await machine("base", { disks: [at("base.raw")] });
  const id = await host.submit("/libvirt/clone/multiple", {
    source: "base",
    name_prefix: "copy",
    count: 12,
  });
  await until("two are complete", async () => (await names()).length > 2, 30);
  await cancel(id);
  const { state, error } = await host.ended(id);
  expect([state, error]).toMatchObject(["cancelled", { code: "cancelled" }]);
  expect(await names()).toEqual(["base"]);
  expect(await volumes()).toEqual(["base.raw"]);
  expect(jobPrograms()).toEqual([]);
  await expectNothingHeld(rows);
});
