/**
 * Workers and hosts that are killed in the middle: every job is done again, whole, once, and nothing is left. Three
 * rounds each, and all six jobs are at work when it happens; `npm run drill` does ten of each kind, at random moments.
 */
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import {
  EXPORTS,
  expectWhole,
  HOLD,
  HOLD_MOVED,
  KINDS,
  prepare,
  slowLibvirtd,
  startDrilled,
  submitAll,
  watchDefinitions,
} from "../../fixtures/live/drill.ts";
import {
  type Database,
  expectNothingHeld,
  type JobHost,
  jobPrograms,
  privateRows,
  startDatabase,
  stopHosts,
  volumes,
} from "../../fixtures/live/jobs.ts";
import { at, image, machine, names, same, wipe } from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";

const STATE = "/run/jobs-crash";
const ROUNDS = [1, 2, 3];

let database: Database;
beforeAll(async () => {
  await slowLibvirtd();
  database = await startDatabase("/run/jobs-database");
});
afterEach(async () => {
  for (const file of [HOLD, HOLD_MOVED]) rmSync(file, { force: true });
  await stopHosts();
  await wipe();
});
afterAll(async () => {
  await database.stop();
  await stopLibvirtd("SIGTERM");
  await startLibvirtd();
});

const start = (name: string, toml = `[database]\nurl = "${database.url}"\n`) =>
  startDrilled(`${STATE}-${name}`, toml);

/** All have begun, and it is a random moment of the shortest of them. */
async function midway(host: JobHost, ids: Record<string, string>) {
  const jobs = () => Promise.all(Object.values(ids).map((id) => host.job(id)));
  const atWork = async () => (await jobs()).every(({ state }) => state !== "queued");
  await until("all are at work", atWork, 20);
  await sleep(Math.random() * 1500);
}

test(`${ROUNDS.length} times: a worker is killed in the middle of six jobs, and another one does them`, {
  timeout: slow(240_000),
}, async () => {
  let worker = await start("0");
  const delays: number[] = [];
  const again: string[] = [];
  for (const round of ROUNDS) {
    await prepare();
    const definitions = watchDefinitions();
    const ids = await submitAll(worker, KINDS[round]);
    await midway(worker, ids);
    const other = await start(`${round}`);
    const before = await Promise.all(KINDS.map((kind) => worker.job(ids[kind])));
    await worker.kill();
    const killed = Date.now();
    for (const { id, state, worker: dead } of before) {
      const isTakenOver = async () => (await other.job(id)).worker !== dead;
      if (state === "running") await until("it is taken over", isTakenOver, 15);
    }
    delays.push(Date.now() - killed);
    const jobs = await expectWhole(other, ids, database.rows);
    expect(Object.values(await definitions.end()).every((balance) => balance === 1)).toBe(true);
    again.push(...KINDS.filter((kind) => jobs[kind].attempts === 2));
    worker = other;
    await wipe();
  }
  console.log({ again, delays });
  expect([...new Set(again)].sort()).toEqual([...KINDS].sort());
});

test(`${ROUNDS.length} times: the whole host is killed with its private PostgreSQL, and started again`, {
  timeout: slow(240_000),
}, async () => {
  let host = await start("private", "");
  for (const round of ROUNDS) {
    await prepare();
    const definitions = watchDefinitions();
    const ids = await submitAll(host, KINDS[round]);
    await midway(host, ids);
    for (let kills = 0; kills < (round === 1 ? 2 : 1); kills++) {
      await host.kill();
      host = await start("private", "");
      if (kills === 0 && round === 1) await sleep(9000); // it has taken them over
    }
    await expectWhole(host, ids, (statement) => privateRows(`${STATE}-private`, statement));
    await definitions.end();
    await wipe();
  }
});

describe("an export whose worker is killed when its folder is in place", () => {
  const place = join(EXPORTS, "small");
  /** Resolves to the job after that, of a host that has begun anew. */
  async function killMoved() {
    await image("small.raw");
    await machine("small", { disks: [at("small.raw")] });
    writeFileSync(HOLD_MOVED, "");
    const host = await start("moved");
    const input = { template: "small", export_path: EXPORTS };
    const id = await host.submit("/libvirt/template/export", input);
    await until("it is in place", () => existsSync(place), 30);
    await host.kill();
    rmSync(HOLD_MOVED);
    return id;
  }

  test("is done again", async () => {
    const id = await killMoved();
    const { state, attempts, error } = await (await start("again")).ended(id);
    expect([state, attempts, error]).toEqual(["completed", 2, null]);
    expect(readdirSync(EXPORTS)).toEqual(["small"]);
    expect(await same(join(place, "vda.raw"), at("small.raw"))).toBe(true);
    await expectNothingHeld(database.rows);
  });

  test("leaves alone what others have put in its place meanwhile", async () => {
    const id = await killMoved();
    renameSync(place, join(EXPORTS, "kept"));
    mkdirSync(place);
    writeFileSync(join(place, "mine"), "mine");
    const { state, error } = await (await start("again")).ended(id);
    expect([state, error]).toMatchObject(["failed", { code: "already_exists" }]);
    expect(readdirSync(EXPORTS).sort()).toEqual(["kept", "small"]);
    expect(readdirSync(place)).toEqual(["mine"]);
    await expectNothingHeld(database.rows);
  });
});

test("a worker that stood still for long leaves alone what another one has taken over", {
  timeout: slow(90_000),
}, async () => {
  await image("small.raw");
  await machine("small", { disks: [at("small.raw")] });
  writeFileSync(HOLD, "");
  const [first, second] = [await start("still"), await start("other")];
  const id = await first.submit("/libvirt/clone", { source: "small", target: "copy" });
  const begun = (host: JobHost) => async () =>
    (await host.job(id)).worker?.includes(`/${host.pid}/`) === true && jobPrograms(id).length > 0;
  await until("it copies", async () => jobPrograms(id).length > 0, 20);
  const [still, other] = (await begun(first)()) ? [first, second] : [second, first];
  process.kill(still.pid, "SIGSTOP");
  await until("it is taken over", begun(other), 20);
  process.kill(still.pid, "SIGCONT");
  await sleep(4000); // it hears that the job is no longer its own
  expect((await volumes()).includes("copy.raw")).toBe(true);
  rmSync(HOLD);
  const { state, attempts, error } = await other.ended(id);
  expect([state, attempts, error]).toEqual(["completed", 2, null]);
  expect(await names()).toEqual(["copy", "small"]);
  expect(await same(at("copy.raw"), at("small.raw"))).toBe(true);
  await expectNothingHeld(database.rows);
});
