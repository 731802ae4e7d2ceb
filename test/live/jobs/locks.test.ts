/** Jobs that change a domain never overlap, those that only read it do, and the limits hold. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import {
  type Database,
  ENDED,
  expectNothingHeld,
  type JobHost,
  startDatabase,
  startHost,
  stopHosts,
} from "../../fixtures/live/jobs.ts";
import { at, image, machine, names, programs, wipe } from "../../fixtures/live/machine.ts";

/** Each copy, of qemu-img or of libvirtd, notes how many there are as it begins. */
const COPYING = "/run/copying";
const COUNTED = `[ -e /run/slow ] || exec $REAL "$@"
: >${COPYING}/$$; ls ${COPYING} | wc -l >>${COPYING}.counts
sleep 0.5; $REAL "$@"; code=$?; rm ${COPYING}/$$; exit $code`;

let database: Database;
const hosts: JobHost[] = [];
const PER_HOST = 5;
const COPIES = 2;
const EXPORTS = "/var/lib/libvirt/exports";
beforeAll(async () => {
  database = await startDatabase("/run/locks-database");
  const settings = `[jobs]\nper_host = ${PER_HOST}\n[clone]\ncopies = ${COPIES}\n`;
  const toml = `${settings}[database]\nurl = "${database.url}"\n`;
  const bin = programs("/run/bin-locks", {
    "qemu-img": COUNTED,
    virsh: `case "$*" in *vol-create-from*) ${COUNTED};; esac; exec $REAL "$@"`,
  });
  const env = { PATH: `${bin}:${process.env.PATH}` };
  for (const name of ["a", "b"])
    hosts.push(await startHost({ state: `/run/locks-${name}`, toml, env }));
});
beforeEach(() => {
  mkdirSync(COPYING, { recursive: true });
  writeFileSync(`${COPYING}.counts`, "");
});
afterEach(async () => {
  rmSync("/run/slow", { force: true });
  await wipe();
});
afterAll(async () => {
  await stopHosts();
  await database.stop();
});

interface Span {
  id: string;
  state: string;
  from: number;
  to: number;
  worker: string;
}

/** When each job was at work, in the database's time. */
async function spans(ids: string[]): Promise<Span[]> {
  const found = await database.rows(
    `SELECT id, state, worker, extract(epoch FROM started_at) AS from, extract(epoch FROM ended_at) AS to
     FROM job WHERE id IN (${ids.map((id) => `'${id}'`).join()}) ORDER BY started_at`,
  );
  return found.map((row) => ({ ...row, from: Number(row.from), to: Number(row.to) }));
}

const most = (all: Span[]) =>
  Math.max(...all.map(({ from }) => all.filter((one) => one.from <= from && from < one.to).length));

/** Looks until all have ended; resolves to the most that was seen of each. */
async function watch(ids: string[]) {
  const seen = { atWork: 0, copies: 0 };
  const open = `SELECT count(*)::int AS n FROM job WHERE state NOT IN ('${ENDED.join("','")}')`;
  for (;;) {
    const [[copies], [work], [left]] = await Promise.all([
      database.rows("SELECT count(*)::int AS n FROM job_copy"),
      database.rows("SELECT count(*)::int AS n FROM job WHERE state = 'running'"),
      database.rows(open),
    ]);
    seen.copies = Math.max(seen.copies, copies.n);
    seen.atWork = Math.max(seen.atWork, work.n);
    if (left.n === 0) return seen;
    await sleep(30);
    if (ids.length === 0) throw new Error("no jobs");
  }
}

async function submitMany(jobs: { function: string; input: object }[]): Promise<string[]> {
  const halves = [0, 1].map((half) => jobs.filter((_, i) => i % 2 === half));
  const answers = await Promise.all(
    halves.map((some, i) => (hosts[i] as JobHost).post("/jobs/submit", { jobs: some })),
  );
  return answers.flatMap(({ status, body }) => {
    const logs = hosts.map((host) => host.log()).join("");
    expect([status, body.rejected], logs).toEqual([202, 0]);
    return body.job_ids;
  });
}

test("many changes of one domain, submitted at once to two workers: one after the other, and all", async () => {
  await machine("one");
  const uuid = await machine("two");
  const jobs = Array.from({ length: 40 }, (_, i) => ({
    function: `/libvirt/domain/${i % 4 < 2 ? "start" : "destroy"}`,
    input: { name: i % 3 === 0 ? uuid : i % 3 === 1 ? "two" : "one" },
  }));
  const ids = await submitMany(jobs);
  const { atWork } = await watch(ids);
  const all = await spans(ids);
  expect(all.filter(({ state }) => !["completed", "failed"].includes(state))).toEqual([]);
  const ofOne = ids.filter((id) => (jobOf(id, ids, jobs)?.input.name ?? "") === "one");
  const worked = all.reduce((sum, { from, to }) => sum + to - from, 0);
  const took = Math.max(...all.map(({ to }) => to)) - Math.min(...all.map(({ from }) => from));
  console.log({ worked, took });
  for (const some of [ofOne, ids.filter((id) => !ofOne.includes(id))]) {
    expect(most(await spans(some))).toBe(1);
  }
  expect(new Set(all.map(({ worker }) => worker)).size).toBe(2);
  expect(atWork).toBeLessThanOrEqual(PER_HOST);
  await expectNothingHeld(database.rows);
});

/** The IDs are those of the even ones, then those of the odd ones. */
function jobOf<T>(id: string, ids: string[], jobs: T[]): T | undefined {
  const place = ids.indexOf(id);
  const half = Math.ceil(jobs.length / 2);
  return jobs[place < half ? 2 * place : 2 * (place - half) + 1];
}

test("linked clones of one template run at once, up to the limit of the hypervisor; who changes it waits", async () => {
  writeFileSync("/run/slow", "");
  await machine("gold", { disks: [await image("gold.qcow2")] });
  const clones = Array.from({ length: 16 }, (_, i) => ({
    function: "/libvirt/clone",
    input: { source: "gold", target: `l${i}`, linked: true },
  }));
  const change = { function: "/libvirt/domain/start", input: { name: "gold" } };
  const ids = await submitMany([...clones.slice(0, 8), change, change, ...clones.slice(8)]);
  const { atWork } = await watch(ids);
  const all = await spans(ids);
  const changes = [8, 9].map((place) => ids[place % 2 === 0 ? place / 2 : 9 + (place - 1) / 2]);
  const changed = all.filter(({ id }) => changes.includes(id));
  for (const { from, to } of changed) {
    const others = all.filter((one) => one.from < to && one.to > from);
    expect(others.length).toBe(1);
  }
  expect(most(all)).toBeGreaterThan(1);
  expect(most(all)).toBeLessThanOrEqual(PER_HOST);
  expect(atWork).toBeLessThanOrEqual(PER_HOST);
  await expectNothingHeld(database.rows);
});

test("copies of every kind: never more than the limit across both workers", async () => {
  writeFileSync("/run/slow", "");
  await machine("base", { disks: [await image("base.raw"), await image("second.qcow2")] });
  const pool = { pool: "default" };
  const kinds: [path: string, input: (i: number) => object, copies: number][] = [
    ["clone", (i) => ({ source: "base", target: `c${i}` }), 2],
    ["clone/multiple", (i) => ({ source: "base", name_prefix: `m${i}`, count: 2 }), 4],
    ["volume/upload", (i) => ({ ...pool, volume: `u${i}`, source_path: at("base.raw") }), 1],
    ["volume/clone", (i) => ({ ...pool, source_volume: "base.raw", target_volume: `v${i}` }), 1],
    ["template/export", (i) => ({ template: "base", export_path: `${EXPORTS}/${i}` }), 2],
    ["template/create", (i) => ({ domain: "base", name: `t${i}` }), 2],
  ];
  const rounds = [1, 2];
  const jobs = rounds.flatMap((i) =>
    kinds.map(([path, input]) => ({ function: `/libvirt/${path}`, input: input(i) })),
  );
  const ids = await submitMany(jobs);
  const seen = await watch(ids);
  expect(seen).toMatchObject({ atWork: PER_HOST, copies: COPIES });
  const counts = readFileSync(`${COPYING}.counts`, "utf8").trim().split("\n").map(Number);
  expect(counts.length).toBe(rounds.length * kinds.reduce((sum, [, , copies]) => sum + copies, 0));
  expect(Math.max(...counts)).toBe(COPIES);
  const all = await spans(ids);
  expect(all.map(({ state }) => state)).toEqual(ids.map(() => "completed"));
  expect(new Set(all.map(({ worker }) => worker)).size).toBe(2);
  const made = rounds.flatMap((i) => [`c${i}`, `m${i}-1`, `m${i}-2`, `t${i}`]);
  expect(await names()).toEqual(["base", ...made].sort());
  await expectNothingHeld(database.rows);
});
