/** No database, or none that this program may use: a reason for each, and no harm done. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "pg";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { optionsOf } from "../../../runtime/store/connection.ts";
import { LOCK, MIGRATIONS } from "../../../runtime/store/migrations.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";
import {
  compileProgram,
  folderOf,
  isRoot,
  me,
  type Process,
  postmasterOf,
  startProcess,
} from "../../fixtures/store.ts";
import { startServer } from "../../server.ts";

const user = me();
const programs = folderOf(user);
const state = folderOf(user);
const fresh: string[] = [];
const running: Process[] = [];
let program: string;

const begin = (folder = state, options = {}) => {
  const started = startProcess(program, user, folder, options);
  running.push(started);
  return started;
};
const another = () => {
  const folder = folderOf(user);
  fresh.push(folder);
  return folder;
};
const refused = (reason: string) => {
  const message = `the database is not available: ${reason}`;
  return {
    code: "function_unavailable",
    message,
    state: expect.objectContaining({ reason: message }),
  };
};
beforeAll(async () => {
  program = await compileProgram(programs);
});
afterEach(async () => {
  for (const one of running.splice(0)) await one.kill();
  await until(() => postmasterOf(state) === undefined, "it has ended", slow(20_000));
  for (const folder of fresh.splice(0)) rmSync(folder, { recursive: true });
});
afterAll(() => {
  for (const folder of [programs, state]) rmSync(folder, { recursive: true });
});

test("a schema that a newer program has made is left alone", async () => {
  const newer = begin();
  await newer.ask("INSERT INTO hypersdk.migrations (version) VALUES (999)");
  try {
    const { message, code } = await begin().ask("SELECT 1");
    expect(code).toBe("function_unavailable");
    expect(message).toMatch(
      /schema has version 999, which is newer than this server, .*; update this server$/,
    );
    const { rows } = await newer.ask("SELECT max(version) AS version FROM hypersdk.migrations");
    expect(rows).toEqual([{ version: 999 }]);
  } finally {
    await newer.ask("DELETE FROM hypersdk.migrations WHERE version = 999");
  }
});

test("with a URL that server is used, and none is started", async () => {
  const server = begin();
  await server.ask("SELECT 1");
  const socket = encodeURIComponent(join(state, "hypersdk/postgres"));
  const folder = another();
  const toml = `url = "postgresql://hypersdk@${socket}/postgres"`;
  const client = begin(folder, { toml });
  expect(await client.ask("SELECT 1 AS one")).toEqual({
    rows: [{ one: 1 }],
    state: { kind: "server", state: "available" },
  });
  await server.close();
  const away = await client.ask("SELECT 1 AS one");
  expect(away.code).toBe("function_unavailable");
  expect(readdirSync(folder)).toEqual([]);
  const again = begin();
  await again.ask("SELECT 1");
  expect((await client.ask("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
});

test("one that waits while another changes the schema does not change it again", async () => {
  const server = begin();
  await server.ask("DROP SCHEMA hypersdk CASCADE");
  const first = new Client({ ...optionsOf(join(state, "hypersdk/postgres")) });
  await first.connect();
  await first.query("BEGIN");
  await first.query(`SELECT pg_advisory_xact_lock(${LOCK})`);
  const answer = begin().ask("SELECT count(*)::int AS count FROM hypersdk.migrations");
  const waits = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
  while ((await first.query(waits)).rowCount === 0) await sleep(20);
  await first.query("CREATE SCHEMA hypersdk");
  for (const [index, sql] of MIGRATIONS.entries()) {
    await first.query(sql);
    await first.query("INSERT INTO hypersdk.migrations (version) VALUES ($1)", [index + 1]);
  }
  await first.query("COMMIT");
  await first.end();
  expect((await answer).rows).toEqual([{ count: MIGRATIONS.length }]);
});

test("without PostgreSQL's programs", async () => {
  const toml = 'binaries = "/nonexistent"';
  const reason = "PostgreSQL is not installed on this machine, and [database] url names no server";
  expect(await begin(another(), { toml }).ask("SELECT 1")).toEqual(refused(reason));
});

test("with programs of another version than the data's", async () => {
  const folder = another();
  mkdirSync(join(folder, "hypersdk/postgres"), { recursive: true });
  writeFileSync(join(folder, "hypersdk/postgres/PG_VERSION"), "8\n");
  if (isRoot) execFileSync("chown", ["-R", "nobody", join(folder, "hypersdk/postgres")]);
  const reason =
    "its data was written by PostgreSQL 8, which is no longer installed on this machine";
  expect(await begin(folder).ask("SELECT 1")).toEqual(refused(reason));
});

test.runIf(isRoot)("where the user that it runs as cannot enter", async () => {
  const folder = another();
  chmodSync(folder, 0o700);
  const { message } = await begin(folder).ask("SELECT 1");
  expect(message).toMatch(/user \d+, as whom PostgreSQL runs, cannot enter .*hypersdk$/);
});

test("in a folder that is too deep for a socket's address", async () => {
  const folder = join(another(), "deep".repeat(30));
  mkdirSync(folder);
  const one = begin(folder);
  expect((await one.ask("SELECT 1 AS one")).rows).toEqual([{ one: 1 }]);
  const setting = "SHOW unix_socket_directories";
  const [row] = (await one.ask(setting)).rows ?? [];
  await one.close();
  rmSync(row.unix_socket_directories, { recursive: true });
});

test.runIf(isRoot)("on a disk that is full, before its first start and later", async () => {
  const folder = another();
  const mount = (megabytes: number) => {
    const script = `mount -t tmpfs -o mode=711,size=${megabytes}m tmpfs ${folder} && exec "$@"`;
    return { argv: ["unshare", "--mount", "sh", "-c", script, "sh"] };
  };
  expect(await begin(folder, mount(64)).ask("SELECT 1")).toEqual(
    refused("no space is left for its data"),
  );
  const one = begin(folder, mount(150));
  await one.ask("CREATE TABLE public.big AS SELECT repeat('x', 1000) AS text");
  const inside = `/proc/${one.child.pid}/root${folder}/full`;
  writeFileSync(inside, Buffer.alloc(70 * 1024 * 1024));
  const grow = "INSERT INTO public.big SELECT text FROM public.big, generate_series(1, 60000)";
  expect((await one.ask(grow)).code).toBe("function_unavailable");
  rmSync(inside);
  const whole = await one.ask("SELECT count(*)::int AS count FROM public.big");
  expect(whole.rows).toEqual([{ count: 1 }]);
});

test("GET /status tells it, and starts nothing", async () => {
  const folder = another();
  const env = { XDG_STATE_HOME: folder, LIBVIRT_DEFAULT_URI: "test:///default" };
  const server = await startServer(env);
  try {
    const { body } = await server.get("/status");
    expect(body.data.database).toEqual({ kind: "private", state: "unused" });
    expect(existsSync(join(folder, "hypersdk/postgres"))).toBe(false);
  } finally {
    await server.stop();
  }
});
