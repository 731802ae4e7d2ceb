/** Three workers, one database, three hypervisors over SSH, and one worker that is killed on the way. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import {
  type Database,
  expectNothingHeld,
  type JobHost,
  startDatabase,
  startHost,
  stopHosts,
} from "../../fixtures/live/jobs.ts";
import { disk } from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type Machine, startMachine } from "../../lab/machine.ts";

const NAMES = ["kvm1", "kvm2", "kvm3"];
const COPIES = 2;
const PER_HOST = 6;
const machines: Machine[] = [];
const workers: JobHost[] = [];
let folder: string;
let database: Database;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "jobs-fleet-"));
  for (const [i, name] of NAMES.entries()) {
    const [here, there] = [`10.98.${i}.1`, `10.98.${i}.2`];
    const network = [
      `link add to${i} type veth peer name wire netns ${name}`,
      `addr add ${here}/24 dev to${i}`,
      `link set to${i} up`,
      `-n ${name} addr add ${there}/24 dev wire`,
      `-n ${name} link set wire up`,
    ];
    const config = [`SetEnv PATH=${process.env.PATH}`, "MaxSessions 10"];
    const machine = await startMachine(name, { address: there, network, config });
    machines.push(machine);
    await furnish(machine);
  }
  database = await startDatabase("/run/fleet-database");
  const hosts = machines.map(({ sshd }, i) => `[hosts.${NAMES[i]}]\nuri = "${sshd.uri()}"\n`);
  const limits = `[jobs]\nper_host = ${PER_HOST}\n[clone]\ncopies = ${COPIES}\n`;
  const toml = `${limits}[database]\nurl = "${database.url}"\n${hosts.join("")}`;
  for (const name of NAMES) workers.push(await startHost({ state: `/run/fleet-${name}`, toml }));
});
afterAll(async () => {
  await stopHosts();
  await database.stop();
  for (const machine of machines) await machine.stop();
  rmSync(folder, { recursive: true });
});

const STORE = "/var/lib/libvirt/images";

/** A pool, a domain with a disk, and one without. */
async function furnish({ run, virsh }: Machine) {
  await run("sh", "-c", `mkdir -p ${STORE}; head -c 8M /dev/urandom >${STORE}/base.raw`);
  await virsh("pool-create-as", "default", "dir", "--target", STORE);
  for (const name of ["base", "one"]) {
    const disks = name === "base" ? [disk(`${STORE}/base.raw`)] : [];
    const file = join(folder, `${name}.xml`);
    const text = xml`<domain type="qemu"><name>${name}</name><memory unit="MiB">16</memory><os><type arch="x86_64" machine="pc">hvm</type></os><devices>${disks}</devices></domain>`;
    writeFileSync(file, `${text}`);
    await virsh("define", file);
  }
}

const range = (count: number) => Array.from({ length: count }, (_, i) => i);

/** Back and forth; one that comes too early finds no domain of its name. */
const RENAMES = [
  { name: "one", new_name: "two" },
  { name: "two", new_name: "one" },
];

/** Of each hypervisor's jobs; with twenty renames there are 67. */
const [CLONES, LINKED, VOLUMES, MANY, TEMPLATES] = [20, 8, 12, 4, 3];

/** In the order in which they are submitted, mixed. */
function jobsFor(host: string) {
  const job = (path: string, input: object) => ({ function: `/libvirt/${path}`, input, host });
  const kinds = [
    range(CLONES).map((i) => job("clone", { source: "base", target: `c${i}` })),
    range(LINKED).map((i) => job("clone", { source: "base", target: `l${i}`, linked: true })),
    range(20).map((i) => job("domain/rename", RENAMES[i % 2] ?? {})),
    range(VOLUMES).map((i) =>
      job("volume/create", {
        pool: "default",
        name: `v${i}.raw`,
        format: "raw",
        capacity: "4MiB",
        prealloc: true,
      }),
    ),
    range(MANY).map((i) =>
      job("clone/multiple", { source: "base", name_prefix: `m${i}`, count: 3 }),
    ),
    range(TEMPLATES).map((i) => job("template/create", { domain: "base", name: `t${i}` })),
  ];
  return range(20).flatMap((i) => kinds.flatMap((some) => some[i] ?? []));
}

const MADE = {
  domains: [
    ...range(CLONES).map((i) => `c${i}`),
    ...range(LINKED).map((i) => `l${i}`),
    ...range(MANY).flatMap((i) => [1, 2, 3].map((n) => `m${i}-${n}`)),
    ...range(TEMPLATES).map((i) => `t${i}`),
  ],
  others: range(VOLUMES).map((i) => `v${i}.raw`),
};
const fileOf = (name: string) => (name.startsWith("l") ? `${name}.qcow2` : `${name}.raw`);

test("201 jobs: all end, once; no two change a domain at once; no more copies than the limit", {
  timeout: slow(360_000),
}, async () => {
  const jobs = range(67).flatMap((i) => NAMES.flatMap((host) => jobsFor(host)[i] ?? []));
  const thirds = range(3).map((third) => jobs.filter((_, i) => i % 3 === third));
  const answers = await Promise.all(
    thirds.map((some, i) => (workers[i] as JobHost).post("/jobs/submit", { jobs: some })),
  );
  for (const { status, body } of answers) expect([status, body.rejected]).toEqual([202, 0]);

  const most = { copies: 0, atWork: 0 };
  let killed = false;
  const doomed = workers[1] as JobHost;
  const atWorkThere = `SELECT FROM job WHERE state = 'running' AND worker LIKE '%/${doomed.pid}/%' LIMIT 1`;
  const count = `SELECT host, count(*) FILTER (WHERE state IN ('running', 'cancelling'))::int AS work,
    count(*) FILTER (WHERE ended_at IS NULL)::int AS open FROM job GROUP BY host`;
  await until(
    "all have ended",
    async () => {
      const copies = await database.rows("SELECT count(*)::int AS n FROM job_copy GROUP BY host");
      most.copies = Math.max(most.copies, ...copies.map(({ n }) => n));
      const hosts = await database.rows(count);
      most.atWork = Math.max(most.atWork, ...hosts.map(({ work }) => work));
      const open = hosts.reduce((sum, host) => sum + host.open, 0);
      if (open < 140 && !killed && (await database.rows(atWorkThere)).length > 0) {
        killed = true;
        await doomed.kill();
      }
      await sleep(50);
      return open === 0;
    },
    240,
  );
  const rows = await database.rows(
    `SELECT host, function, state, worker, answer #>> '{body,code}' AS code, attempt, deaths, exclusive_locks AS locks,
     extract(epoch FROM started_at) AS from, extract(epoch FROM ended_at) AS to FROM job`,
  );
  console.log({
    ...most,
    workers: new Set(rows.map(({ worker }) => worker)).size,
    takenOver: rows.filter(({ deaths }) => deaths > 0).length,
    failed: rows.filter(({ state }) => state !== "completed").length,
  });
  expect(most).toEqual({ copies: COPIES, atWork: PER_HOST });
  expect(rows.some(({ deaths }) => deaths > 0)).toBe(true);
  const wrong = rows.filter(({ state, function: path, code }) => {
    const may = path === "/libvirt/domain/rename" && /^(not_found|outcome_unknown)$/.test(code);
    return state !== "completed" && !may;
  });
  expect(wrong).toEqual([]);
  const changing = rows.filter(({ locks }) => locks.length > 0);
  for (const [key, some] of Map.groupBy(changing, ({ locks }) => `${locks}`)) {
    const inOrder = [...some].sort((a, b) => a.from - b.from);
    for (const [i, { from }] of inOrder.entries())
      if (i > 0)
        expect(Number(from), key).toBeGreaterThanOrEqual(Number(inOrder[i - 1].to) - 0.001);
  }
  for (const { virsh } of machines) {
    const lines = (text: string) =>
      text
        .split("\n")
        .map((line) => line.trim().split(/\s/)[0] ?? "")
        .filter(Boolean)
        .sort();
    const domains = lines(await virsh("list", "--all", "--name")).map((name) =>
      name === "two" ? "one" : name,
    );
    expect(domains.sort()).toEqual(["base", "one", ...MADE.domains].sort());
    await virsh("pool-refresh", "default");
    expect(lines(await virsh("vol-list", "default"))).toEqual(
      ["base.raw", ...MADE.domains.map(fileOf), ...MADE.others].sort(),
    );
  }
  await expectNothingHeld(database.rows);
});
