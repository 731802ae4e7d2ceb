/** Jobs at the command line and of scripts: submitted here, done by `hypersdk worker`, followed, cancelled. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { createClient } from "../../../runtime/client/client.ts";
import { connect } from "../../../runtime/client/connect.ts";
import { stopBoss } from "../../../runtime/jobs/boss.ts";
import { database } from "../../../runtime/store/database.ts";
import { closeDatabase } from "../../../runtime/store/state.ts";
import { hypersdk, LAUNCHER, onTerminal } from "../../cli.ts";
import { at, machine, names, programs, sh, virsh, wipe } from "../../fixtures/live/machine.ts";
import { until } from "../../fixtures/live/virsh.ts";
import { startServer } from "../../server.ts";

const STATE = "/run/jobs-cli";
const HOLD = join(STATE, "hold");
const env = {
  XDG_STATE_HOME: STATE,
  HYPERSDK_CONFIG: join(STATE, "hypersdk.toml"),
  /** Each copy waits for as many seconds as that file says. */
  PATH: `${programs(join(STATE, "bin"), {
    "qemu-img": `[ ! -e ${HOLD} ] || sleep "$(cat ${HOLD})"\nexec $REAL "$@"`,
  })}:${process.env.PATH}`,
};
Object.assign(process.env, env); // for the calls of this process

interface Worker {
  pid: number | undefined;
  log(): string;
  /** Resolves to its exit status. */
  stop(): Promise<number | null>;
}

const started: ChildProcess[] = [];

async function startWorker(): Promise<Worker> {
  const child = spawn(LAUNCHER, ["worker"], { stdio: ["ignore", "ignore", "pipe"] });
  started.push(child);
  let log = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    log += text;
  });
  const ended = once(child, "close").then(() => child.exitCode);
  await until("the worker begins", () => log.includes("jobs at once"), 30);
  const stop = () => {
    child.kill("SIGTERM");
    return ended;
  };
  return { pid: child.pid, log: () => log, stop };
}

beforeAll(async () => {
  mkdirSync(STATE, { recursive: true, mode: 0o755 });
  writeFileSync(env.HYPERSDK_CONFIG, "[limits]\nshutdown = 5\n");
  await database(); // it is this process's child, and outlives the workers
});
afterEach(async () => {
  rmSync(HOLD, { force: true });
  for (const child of started.splice(0)) {
    if (child.exitCode === null && child.kill("SIGKILL")) await once(child, "close");
  }
  await wipe();
});
afterAll(async () => {
  await stopBoss();
  await closeDatabase();
});

const volumes = async () =>
  (await virsh("vol-list", "default")).split("\n").flatMap((line) => line.split(/ +/)[1] ?? []);
const volume = ["libvirt/volume/create", "pool=default", "name=made", "capacity=10MiB"];
const clone = ["libvirt/clone", "source=base", "target=copy"];

async function base() {
  await sh("head -c 20M /dev/urandom >base.raw");
  await virsh("pool-refresh", "default");
  await machine("base", { disks: [at("base.raw")] });
}

async function submit(...words: string[]) {
  const { code, stdout, stderr } = await hypersdk(["call", ...words, "--async"]);
  expect({ code, stderr: code ? stderr : "" }).toEqual({ code: 0, stderr: "" });
  return { id: JSON.parse(stdout).id as string, stderr };
}

const look = (id: string) => connect()("GET /job", { id });
const follow = (id: string) => hypersdk(["job", id, "--follow"]);
const runs = (id: string) =>
  until("it copies", async () => /copy/.test(`${(await look(id)).progress.phase}`), 30);

test("a job waits for a worker, and says what the call itself would have said", async () => {
  const { id, stderr } = await submit(...volume);
  const none = "no worker is there; the job begins once hypersdk serve or hypersdk worker runs";
  expect(stderr).toBe(`hypersdk: ${none}\n`);
  const shown = await hypersdk(["job", id]);
  expect(JSON.parse(shown.stdout)).toMatchObject({ id, state: "queued", attempts: 0 });
  expect(await volumes()).toEqual([]);
  await startWorker();
  const done = await follow(id);
  expect(done).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(done.stdout)).toMatchObject({ name: "made", capacity_bytes: 10 * 2 ** 20 });
  expect(await volumes()).toEqual(["made"]);
  const again = await submit(...volume);
  expect(again.stderr).toBe("");
  const refused = await follow(again.id);
  expect(refused).toMatchObject({ code: 1, stdout: "" });
  expect(refused.stderr).toBe((await hypersdk(["call", ...volume])).stderr);
  const { stdout } = await hypersdk(["jobs", "--state", "failed"]);
  expect(JSON.parse(stdout)).toMatchObject({ jobs: [{ id: again.id }], total: 1 });
});

test("the same key submits once", async () => {
  const first = await submit(...volume, "--idempotency-key", "once");
  expect((await submit(...volume, "--idempotency-key", "once")).id).toBe(first.id);
  const other = [...volume.slice(0, 2), "name=other", "capacity=1MiB", "--idempotency-key", "once"];
  const { code, stderr } = await hypersdk(["call", ...other, "--async"]);
  expect([code, stderr]).toEqual([1, expect.stringContaining("(idempotency_mismatch)")]);
  // on a busy machine the completion has no time for the jobs, and offers the rest
  await until(
    "the job is offered",
    async () => {
      const offered = await hypersdk(["complete", "zsh", "--", "job", ""]);
      return offered.stdout.includes(`\n${first.id}\tqueued libvirt/volume/create\n`);
    },
    30,
  );
  expect((await hypersdk(["job", "cancel", first.id])).code).toBe(0);
  expect((await look(first.id)).state).toBe("cancelled");
});

test("the same key has a call carried out once, also one that is no job", async () => {
  const call = () => hypersdk(["call", ...volume, "--idempotency-key", "call"]);
  const first = await call();
  expect(first).toMatchObject({ code: 0, stderr: "" });
  expect(await call()).toMatchObject({ code: 0, stdout: first.stdout });
  expect((await hypersdk(["call", ...volume])).stderr).toContain("(already_exists)");
  expect(await volumes()).toEqual(["made"]);
});

test("^C at a terminal cancels the job, of which nothing is left", async () => {
  await base();
  await startWorker();
  writeFileSync(HOLD, "600");
  const { id } = await submit(...clone);
  const terminal = onTerminal([LAUNCHER, "job", id]);
  await terminal.shows(/copy.* disk vda/, 30);
  terminal.type("\x03");
  expect(await terminal.ended).toBe(1);
  expect(terminal.screen()).toMatch(/the job was cancelled \(cancelled\)\r\n$/);
  expect(await look(id)).toMatchObject({ state: "cancelled", cancel_requested: true });
  expect([await names(), await volumes()]).toEqual([["base"], ["base.raw"]]);
});

test("SIGTERM: a worker lets its jobs end", async () => {
  await base();
  const worker = await startWorker();
  writeFileSync(HOLD, "3");
  const { id } = await submit(...clone);
  await runs(id);
  expect(await worker.stop()).toBe(0);
  expect(await look(id)).toMatchObject({ state: "completed", attempts: 1 });
  expect(await names()).toEqual(["base", "copy"]);
});

test("SIGTERM: what takes longer than [limits] shutdown is given back to another worker", async () => {
  await base();
  const worker = await startWorker();
  writeFileSync(HOLD, "600");
  const { id } = await submit(...clone);
  await runs(id);
  expect(await worker.stop()).toBe(0);
  expect(await look(id)).toMatchObject({ state: "queued" });
  expect([await names(), await volumes()]).toEqual([["base"], ["base.raw"]]);
  rmSync(HOLD);
  await startWorker();
  expect((await follow(id)).code).toBe(0);
  expect(await look(id)).toMatchObject({ state: "completed", attempts: 2 });
  expect(await names()).toEqual(["base", "copy"]);
});

test("a second SIGTERM ends a worker at once; another one takes its job over", async () => {
  await base();
  const worker = await startWorker();
  writeFileSync(HOLD, "600");
  const { id } = await submit(...clone);
  await runs(id);
  void worker.stop();
  await until("it ends", () => worker.log().includes("1 jobs have 5 s to end"), 5);
  expect(await worker.stop()).toBe(143);
  rmSync(HOLD);
  await startWorker();
  expect((await follow(id)).code).toBe(0);
  expect(await look(id)).toMatchObject({ state: "completed", attempts: 2 });
  expect(await names()).toEqual(["base", "copy"]);
});

test("a script has the same of a server without workers, and in its own process", async () => {
  await base();
  const { pid } = await startWorker();
  const main = join(LAUNCHER, "../main.ts");
  const server = await startServer({}, [main, "serve", "--no-workers"]);
  try {
    for (const [target, call] of Object.entries({ a: createClient(server.url), b: connect() })) {
      const input = { source: "base", target };
      const job = await call("POST /libvirt/clone", input, { wait: false });
      const phases = new Set<string | null>();
      const data = await job.wait({ onProgress: ({ phase }) => phases.add(phase) });
      expect(data).toMatchObject({ name: target });
      expect(phases).toContain("done");
      expect(await job.state()).toBe("completed");
      expect((await look(job.id)).worker).toContain(`/${pid}/`);
      const again = await call("POST /libvirt/clone", input, { wait: false });
      const error = await again.wait().catch((error) => error);
      expect(error).toMatchObject({ code: "already_exists", status: 500 });
      await expect(again.cancel()).rejects.toMatchObject({ code: "not_active" });
    }
  } finally {
    await server.stop();
  }
  expect(await names()).toEqual(["a", "b", "base"]);
});
