/** The private PostgreSQL: who starts it, who shares it, and what is there after each end. */
import { spawn } from "node:child_process";
import { chownSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
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
  uidOf,
  userOf,
} from "../../fixtures/store.ts";

const users = isRoot ? [me(), userOf("nobody")] : [me()];
const programs = folderOf(me());
let program: string;
beforeAll(async () => {
  program = await compileProgram(programs);
});
afterAll(() => rmSync(programs, { recursive: true }));

describe.each(users)("of the user $name", (user) => {
  let state: string;
  const running: Process[] = [];
  const begin = (folder = state) => {
    const started = startProcess(program, user, folder);
    running.push(started);
    return started;
  };
  beforeAll(() => {
    state = folderOf(user);
  });
  afterEach(async () => {
    for (const one of running.splice(0)) await one.kill();
    await until(() => postmasterOf(state) === undefined, "it has ended", slow(20_000));
  });
  afterAll(() => rmSync(state, { recursive: true }));
  const write = async (one: Process) => {
    await one.ask("CREATE TABLE IF NOT EXISTS public.notes (text text)");
    await one.ask("TRUNCATE public.notes");
    await one.ask("INSERT INTO public.notes VALUES ('kept')");
  };
  const read = (one: Process) => one.ask("SELECT text FROM public.notes");
  const kept = { rows: [{ text: "kept" }], state: { kind: "private", state: "available" } };

  test("the first need starts it, for this user alone and without a port; a second process joins", async () => {
    const [first, second] = [begin(), begin()];
    expect(postmasterOf(state)).toBeUndefined();
    await write(first);
    const pid = postmasterOf(state) as number;
    expect(uidOf(pid)).not.toBe(0);
    if (user.uid !== 0) expect(uidOf(pid)).toBe(user.uid);
    expect(statSync(join(state, "hypersdk/postgres")).mode & 0o777).toBe(0o700);
    expect((await first.ask("SHOW listen_addresses")).rows).toEqual([{ listen_addresses: "" }]);
    expect(
      (await first.ask("SELECT version FROM hypersdk.migrations")).rows?.length,
    ).toBeGreaterThan(0);
    expect(await read(second)).toEqual(kept);
    expect(postmasterOf(state)).toBe(pid);
  });

  test("two that need the first one at once share it", async () => {
    const fresh = folderOf(user);
    const all = [begin(fresh), begin(fresh)];
    const since = "SELECT pg_postmaster_start_time()::text AS at";
    const answers = await Promise.all(all.map((one) => one.ask(since)));
    expect(answers.map(({ message }) => message)).toEqual([undefined, undefined]);
    expect(answers[0]?.rows).toEqual(answers[1]?.rows);
    await Promise.all(all.map((one) => one.close()));
    expect(readdirSync(join(fresh, "hypersdk"))).toEqual(["postgres"]);
    rmSync(fresh, { recursive: true });
  });

  test("it ends with the process that started it; the other one starts it again and has all", async () => {
    const [first, second] = [begin(), begin()];
    await write(first);
    await read(second);
    const pid = postmasterOf(state) as number;
    await first.close();
    expect(uidOf(pid)).toBeUndefined();
    expect(await read(second)).toEqual(kept);
    await second.close();
    expect(postmasterOf(state)).toBeUndefined();
  });

  test("the next process starts it while the last one's still ends", async () => {
    const first = begin();
    await write(first);
    const second = begin();
    const closing = first.close();
    expect(await read(second)).toEqual(kept);
    await closing;
  });

  test("killed ten times, it is there again for the next statements of both", async () => {
    const [first, second] = [begin(), begin()];
    await write(first);
    for (let round = 0; round < 10; round++) {
      await read(second);
      const pid = postmasterOf(state) as number;
      process.kill(pid, "SIGKILL");
      await until(() => uidOf(pid) === undefined, "it has ended", slow(3000));
      const answers = await Promise.all([read(first), read(second)]); // both start it
      expect(answers).toEqual([kept, kept]);
      expect(postmasterOf(state)).not.toBe(pid);
    }
  });

  test("it ends with a process that is killed, and nothing is lost", async () => {
    const first = begin();
    await write(first);
    const pid = postmasterOf(state) as number;
    await first.kill();
    await until(() => uidOf(pid) === undefined, "it has ended", slow(10_000));
    expect(await read(begin())).toEqual(kept);
  });

  test("a lock that names another process now is no hindrance", async () => {
    const first = begin();
    await write(first);
    const lock = join(state, "hypersdk/postgres/postmaster.pid");
    const text = readFileSync(lock, "utf8");
    const { uid, gid } = statSync(lock);
    await first.close();
    const other = spawn("sleep", ["600"], isRoot ? { uid, gid } : {});
    try {
      writeFileSync(lock, text.replace(/^\d+/, `${other.pid}`), { mode: 0o600 });
      if (isRoot) chownSync(lock, uid, gid);
      expect(await read(begin())).toEqual(kept);
    } finally {
      other.kill();
    }
  });
});
