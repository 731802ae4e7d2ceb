/**
 * `npm run drill -- [WHAT] [TIMES]`: kills workers, PostgreSQL, whole hosts and libvirtd at random moments while a job
 * of each kind is at work, and prints what has become of them. WHAT is a kind of job, whose worker is killed, or
 * `postgres`, `host`, `libvirtd`, or `migrate` (live migrations, in the middle of which something breaks); without it all of them. TIMES is 10 unless given. The exit code is 1 if any job did
 * not end as completed, or anything was left or made twice.
 */
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import {
  expectWhole,
  KINDS,
  type Kind,
  prepare,
  SLOW_PATH,
  slowLibvirtd,
  startDrilled,
  submitAll,
  watchDefinitions,
} from "../fixtures/live/drill.ts";
import {
  type Database,
  type JobHost,
  type JobSeen,
  privateRows,
  startDatabase,
  stopHosts,
} from "../fixtures/live/jobs.ts";
import { wipe } from "../fixtures/live/machine.ts";
import { STRIKES, startMover, strikeOnce } from "../fixtures/live/moving.ts";
import { startPair } from "../fixtures/live/pair.ts";
import { until } from "../fixtures/live/virsh.ts";
import measureSlowness from "../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../lab/libvirtd.ts";

interface Row {
  what: string;
  /** What was killed when, and how far the job was. */
  killed: string;
  /** Jobs that were at work in what was killed. */
  midway: number;
  state: string;
  /** How often the job was begun, and all six together. */
  attempts: string;
  seconds: number;
  left: string;
}

const STATE = "/run/drill";
/** About how long a live migration takes, from its beginning on. */
const MIGRATION_MS = 8000;
const rows: Row[] = [];
const print = (what: string, killed: string, ...rest: (string | number)[]) =>
  console.log(
    [what.padEnd(9), killed.padEnd(64), ...rest.map((one) => `${one}`.padEnd(9))].join(""),
  );

/** How far a job is, for people. */
const far = ({ state, progress, started_at }: JobSeen) => {
  const ms = started_at ? Date.now() - Date.parse(started_at) : 0;
  const percent = progress.percent === null ? "" : `${progress.percent.toFixed()} % `;
  return state === "running"
    ? `${(ms / 1000).toFixed(1)} s, ${percent}${progress.phase ?? ""}`
    : state;
};

type Ids = Record<Kind, string>;
const jobsOf = (host: JobHost, ids: Ids) => Promise.all(KINDS.map((kind) => host.job(ids[kind])));

/** Looks at everything, and tells what is wrong, if anything is. */
async function judge(
  host: JobHost,
  ids: Ids,
  first: Kind,
  database: (sql: string) => Promise<unknown[]>,
) {
  const fault = await expectWhole(host, ids, database).then(
    () => undefined,
    ({ message }: Error) => message,
  );
  const jobs = await jobsOf(host, ids);
  const sum = jobs.reduce((sum, job) => sum + job.attempts, 0);
  const { state = "", attempts = 0 } = jobs[KINDS.indexOf(first)] ?? {};
  return { state, attempts: `${attempts} (${sum})`, fault };
}

/** Runs one round of a drill, after which the lab is as before. Resolves to false for one that came too late. */
async function round(
  what: string,
  host: JobHost,
  first: Kind,
  strike: (ids: Ids) => Promise<{ killed: string; midway: number; survivor: JobHost } | undefined>,
  database: (sql: string) => Promise<unknown[]>,
  isWatched = true,
): Promise<boolean> {
  await prepare();
  const began = performance.now();
  const definitions = isWatched ? watchDefinitions() : undefined;
  const ids = await submitAll(host, first);
  const struck = await strike(ids);
  if (struck) {
    const { survivor, ...blow } = struck;
    const { fault, ...judged } = await judge(survivor, ids, first, database);
    const twice = await definitions?.end().then(
      () => undefined,
      ({ message }: Error) => message,
    );
    const seconds = Math.round((performance.now() - began) / 100) / 10;
    const row = { what, ...blow, ...judged, seconds, left: twice ?? fault ?? "nothing" };
    rows.push(row);
    const { killed, midway, state, attempts, left } = row;
    print(what, killed, midway, state, attempts, seconds, left);
  } else {
    await judge(host, ids, first, database);
    await definitions?.end();
  }
  await wipe();
  return struck !== undefined;
}

const midwayOf = (jobs: JobSeen[]) => jobs.filter(({ state }) => state === "running");

/** Of two workers on one database, the one that has the job is killed; another one begins in its place. */
async function drillWorkers(kind: Kind, times: number, database: Database, seconds: number) {
  const toml = `[database]\nurl = "${database.url}"\n`;
  let count = 0;
  const start = () => startDrilled(`${STATE}-${kind}-${count++}`, toml);
  let hosts = [await start(), await start()] as [JobHost, JobHost];
  for (let done = 0; done < times; ) {
    const struck = await round(kind, hosts[0], kind, strike, database.rows);
    if (struck) done++;
  }
  await stopHosts();

  async function strike(ids: Ids) {
    const [one] = hosts;
    await until("it is at work", async () => (await one.job(ids[kind])).state !== "queued", 60);
    await sleep(Math.random() * seconds * 1000);
    const jobs = await jobsOf(one, ids);
    const job = jobs[KINDS.indexOf(kind)] as JobSeen;
    const victim = hosts.find(({ pid }) => job.worker?.includes(`/${pid}/`));
    const other = hosts.find((host) => host !== victim);
    if (job.state !== "running" || !victim || !other) return undefined;
    await victim.kill();
    const midway = midwayOf(jobs).filter(({ worker }) => worker === job.worker).length;
    hosts = [other, await start()];
    return { killed: `its worker, at ${far(job)}`, midway, survivor: other };
  }
}

/** What of a host with a private PostgreSQL is killed, and started again. */
async function drillHost(
  what: string,
  times: number,
  seconds: number,
  kill: (host: JobHost) => Promise<{ survivor: JobHost; how: string }>,
) {
  const database = (statement: string) => privateRows(`${STATE}-${what}`, statement);
  let host = await startDrilled(`${STATE}-${what}`);
  const strike = async (ids: Ids) => {
    await sleep(Math.random() * seconds * 1000);
    const jobs = await jobsOf(host, ids);
    const { survivor, how } = await kill(host);
    host = survivor;
    const midway = midwayOf(jobs).length;
    const farthest = midwayOf(jobs).map(({ progress }) => progress.percent ?? 0);
    return {
      killed: `${how}, jobs at ${farthest.map((one) => one.toFixed()).join(", ")} %`,
      midway,
      survivor,
    };
  };
  for (let done = 0; done < times; done++) {
    const first = KINDS[done % KINDS.length] as Kind;
    await round(what, host, first, strike, database, what !== "libvirtd");
  }
  await stopHosts();
}

const postmaster = () =>
  Number(readFileSync(`${STATE}-postgres/hypersdk/postgres/postmaster.pid`, "utf8").split("\n")[0]);

/** Longer than a worker may be silent, or the time that a start takes. */
async function killPostgres(host: JobHost) {
  const seconds = Math.random() < 0.5 ? 0 : 10;
  process.kill(postmaster(), "SIGKILL");
  process.kill(host.pid, "SIGSTOP"); // nothing starts it meanwhile
  await sleep(seconds * 1000);
  process.kill(host.pid, "SIGCONT");
  return { survivor: host, how: `PostgreSQL, for ${seconds} s` };
}

async function killHost(host: JobHost) {
  await host.kill();
  return { survivor: await startDrilled(`${STATE}-host`), how: "the host with its PostgreSQL" };
}

async function restartLibvirtd(host: JobHost) {
  const signal = Math.random() < 0.5 ? "SIGKILL" : "SIGTERM";
  await stopLibvirtd(signal);
  await sleep(Math.random() * 2000);
  await startLibvirtd("C", SLOW_PATH);
  return { survivor: host, how: `libvirtd, by ${signal}` };
}

/** How long each kind takes here while the others are at work, in seconds. */
async function measure(database: Database) {
  const host = await startDrilled(`${STATE}-measure`, `[database]\nurl = "${database.url}"\n`);
  await prepare();
  const jobs = await expectWhole(host, await submitAll(host), database.rows);
  await stopHosts();
  await wipe();
  const took = ({ started_at, ended_at }: JobSeen) =>
    (Date.parse(ended_at) - Date.parse(started_at)) / 1000;
  return Object.fromEntries(KINDS.map((kind) => [kind, took(jobs[kind])])) as Record<Kind, number>;
}

/** Live migrations between two hypervisors, which are cancelled, cut off, or lose one of those at work. */
async function drillMigrations(times: number) {
  const [state, pair] = [`${STATE}-migrate`, await startPair()];
  let host: JobHost = Object.assign(await startMover(pair, state), { state });
  for (const strike of Object.keys(STRIKES)) {
    for (let done = 0; done < times; done++) {
      const began = performance.now();
      const round = await strikeOnce(pair, host, strike, {
        ms: Math.random() * MIGRATION_MS,
      }).catch((error: Error) => error);
      const seconds = Math.round((performance.now() - began) / 100) / 10;
      const isFault = round instanceof Error;
      if (!isFault) host = round.host;
      const ended = isFault ? "" : round.job.state;
      const killed = `${strike}${isFault ? "" : `: ${round.at}; it runs on ${round.runs}`}`;
      const left = isFault ? round.message : "nothing";
      rows.push({ what: "migrate", killed, midway: 1, state: ended, attempts: "1", seconds, left });
      print("migrate", killed, 1, ended, "1", seconds, left);
    }
  }
  await stopHosts();
  await pair.stop();
}

measureSlowness();
const [what, given = "10"] = process.argv.slice(2);
const times = Number(what !== undefined && /^\d+$/.test(what) ? what : given);
const only = what !== undefined && !/^\d+$/.test(what) ? what : undefined;
const isAsked = (name: string) => only === undefined || only === name;
if (isAsked("migrate")) await drillMigrations(times);
if (only === "migrate") {
  const faults = rows.filter(({ left }) => left !== "nothing");
  console.log(`${rows.length} rounds, ${faults.length} with faults`);
  process.exit(faults.length > 0 ? 1 : 0);
}
const database = await startDatabase(`${STATE}-database`);
await slowLibvirtd();
const took = await measure(database);
const all = Math.max(...Object.values(took));
console.log("without a kill, in seconds:", took);
print("what", "killed", "midway", "state", "attempts", "seconds", "left");
for (const kind of KINDS.filter(isAsked)) await drillWorkers(kind, times, database, took[kind]);
if (isAsked("postgres")) await drillHost("postgres", times, all, killPostgres);
if (isAsked("host")) await drillHost("host", times, all, killHost);
if (isAsked("libvirtd")) await drillHost("libvirtd", times, all, restartLibvirtd);
await database.stop();
const faults = rows.filter(({ left }) => left !== "nothing");
console.log(`${rows.length} rounds, ${faults.length} with faults`);
process.exit(rows.length === 0 || faults.length > 0 ? 1 : 0);
