/** What may not be done twice ends as failed with what is left; nothing of the source is lost. */
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
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
import { freeze, thaw, until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";

const STATE = "/run/jobs-once";
const rows = (statement: string) => privateRows(STATE, statement);
let host: JobHost;

const start = () => {
  const hold = 'while [ -e /run/hold ]; do sleep 0.1; done; exec $REAL "$@"';
  const bin = programs("/run/bin-once", {
    "qemu-img": hold,
    virsh: `case "$*" in *vol-wipe*) touch /run/held; ${hold};; esac; exec $REAL "$@"`,
  });
  return startHost({ state: STATE, env: { PATH: `${bin}:${process.env.PATH}` } });
};
beforeEach(async () => {
  host = await start();
});
afterEach(async () => {
  rmSync("/run/hold", { force: true });
  rmSync("/run/held", { force: true });
  await stopHosts();
  await wipe();
});

const UNKNOWN = { code: "outcome_unknown" };

test("a clone that takes its source's place, killed while it copies: only the source is there", async () => {
  await machine("base", { disks: [await image("base.raw")] });
  writeFileSync("/run/hold", "");
  const input = { source: "base", target: "copy", preserve: false };
  const id = await host.submit("/libvirt/clone", input);
  await until("it copies", () => jobPrograms(id).length > 0, 20);
  await host.kill();
  rmSync("/run/hold");
  host = await start();
  const { state, error } = await host.ended(id);
  expect([state, error]).toMatchObject(["failed", UNKNOWN]);
  expect(error).not.toHaveProperty("left");
  expect(await names()).toEqual(["base"]);
  expect(await volumes()).toEqual(["base.raw"]);
  await expectNothingHeld(rows);
});

/** The database is slow to note that an operation is complete. */
const SLOW_COMPLETION = `
  CREATE OR REPLACE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF NEW.complete THEN PERFORM pg_sleep(3); END IF; RETURN NEW; END';
  CREATE TRIGGER hold BEFORE UPDATE ON job_journal FOR EACH ROW EXECUTE FUNCTION hold()`;

test("killed while the source is undefined: the clone is complete, named, and stays", async () => {
  await machine("base", { disks: [await image("base.raw")] });
  await host.ended(await host.submit("/libvirt/domain/start", { name: "none" }));
  await rows(SLOW_COMPLETION);
  const input = { source: "base", target: "copy", preserve: false };
  const id = await host.submit("/libvirt/clone", input);
  await until("it is defined", async () => (await names()).includes("copy"), 20);
  await sleep(500);
  freeze(); // the next command is sent and not answered
  const complete = "SELECT 1 FROM job_journal WHERE complete";
  await until("it is complete", async () => (await rows(complete)).length > 0, 10);
  await sleep(500);
  await host.kill();
  thaw();
  host = await start();
  const { state, error } = await host.ended(id);
  expect([state, error]).toMatchObject(["failed", UNKNOWN]);
  await rows("DROP TRIGGER hold ON job_journal");
  expect(error.left).toEqual(["clone of base to copy, complete"]);
  expect(await names()).toContain("copy");
  expect(await same(at("copy.raw"), at("base.raw"))).toBe(true);
  expect(await volumes()).toEqual(["base.raw", "copy.raw"]);
  await expectNothingHeld(rows);
});

test("volume/wipe", async () => {
  await image("old.raw");
  writeFileSync("/run/hold", "");
  const id = await host.submit("/libvirt/volume/wipe", { pool: "default", volume: "old.raw" });
  await until("it wipes", () => existsSync("/run/held"), 20);
  await host.kill();
  host = await start();
  const { state, error, attempts } = await host.ended(id);
  expect([state, error, attempts]).toMatchObject(["failed", UNKNOWN, 2]);
  expect(jobPrograms()).toEqual([]);
  expect(await volumes()).toEqual(["old.raw"]);
  await expectNothingHeld(rows);
});

test("a batch", async () => {
  for (const name of ["a", "b", "c"]) await machine(name);
  const id = await host.submit("/libvirt/batch/start", { domains: ["a", "b", "c"] });
  await until("it has begun", async () => (await host.job(id)).state !== "queued", 20);
  await host.kill();
  await sleep(100);
  host = await start();
  const { state, error } = await host.ended(id);
  if (state === "failed") expect(error).toMatchObject(UNKNOWN);
  expect(await names()).toEqual(["a", "b", "c"]);
  await expectNothingHeld(rows);
});

test("a synchronous call with an Idempotency-Key is not repeated by the same key: its outcome is unknown", {
  timeout: slow(90_000),
}, async () => {
  await machine("base", { disks: [await image("base.raw")] });
  writeFileSync("/run/hold", "");
  const headers = { "Content-Type": "application/json", "Idempotency-Key": "once" };
  const clone = () => host.post("/libvirt/clone", { source: "base", target: "copy" }, { headers });
  const first = clone().catch(() => {});
  const isCopying = async () => (await volumes()).length > 1;
  await until("it copies", isCopying, 20);
  await host.kill();
  await first;
  rmSync("/run/hold");
  host = await start();
  const codes = new Set<string>();
  const isKnownDead = async () => {
    const { status, body } = await clone();
    codes.add(`${status} ${body.code}`);
    return body.code === "outcome_unknown";
  };
  await until("its server counts as gone", isKnownDead, 40);
  expect([...codes].filter((code) => !/^(409 idempotency_conflict|503 .*)$/.test(code))).toEqual([
    "500 outcome_unknown",
  ]);
  expect((await clone()).body.code).toBe("outcome_unknown");
  expect(await names()).toEqual(["base"]);
});
