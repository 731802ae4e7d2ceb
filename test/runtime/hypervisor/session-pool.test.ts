/** The pool: never too many sessions, first come first served, and no place is ever lost. */
import { PassThrough } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { Session } from "../../../runtime/hypervisor/session.ts";
import { Pool, type PoolSettings } from "../../../runtime/hypervisor/session-pool.ts";
import { until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";

/** A session on streams that nobody answers: enough to be open, to be killed and to die. */
function openSession(): Session {
  const end = Promise.withResolvers<string>();
  return new Session({
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new PassThrough(),
    closed: end.promise,
    kill: () => end.resolve("killed"),
    ref() {},
  });
}

/** A pool that keeps every session it ever opened. */
function setUp(settings: Partial<PoolSettings> = {}, open = async () => openSession()) {
  const sessions: Session[] = [];
  const opened = async () => {
    const session = await open();
    sessions.push(session);
    return session;
  };
  const pool = new Pool(opened, { max: 2, queue: 100, idle: 60_000, ...settings });
  return { pool, sessions, alive: () => sessions.filter((one) => one.alive).length };
}

/** Work that lasts until it is told to end. */
function held(pool: Pool, signal?: AbortSignal) {
  const end = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<Session>();
  const done = pool.use(
    async (session) => {
      begun.resolve(session);
      await end.promise;
    },
    1000,
    signal,
  );
  return { begun: begun.promise, end: end.resolve, done };
}

describe("places", () => {
  test("a session is opened when needed and used again", async () => {
    const { pool, sessions } = setUp();
    expect(sessions).toHaveLength(0);
    const first = await pool.use(async (session) => session, 1000);
    const second = await pool.use(async (session) => session, 1000);
    expect(second).toBe(first);
    expect(sessions).toHaveLength(1);
  });

  test("the session goes back when the work throws", async () => {
    const { pool, sessions } = setUp({ max: 1 });
    const thrown = pool.use(() => Promise.reject(new Error("work")), 1000);
    await expect(thrown).rejects.toThrow("work");
    await pool.use(async () => {}, 1000);
    expect(sessions).toHaveLength(1);
  });

  test("those who wait are served in the order they came", async () => {
    const { pool, sessions } = setUp();
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        pool.use(async () => {
          order.push(i);
          await sleep(1);
        }, 1000),
      ),
    );
    expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect(sessions).toHaveLength(2);
  });

  test("a session that died, in use or idle, is replaced", async () => {
    const { pool, alive } = setUp({ max: 1 });
    const use = (kill = false) =>
      pool.use(async (session) => {
        if (kill) session.kill();
        return session;
      }, 1000);
    const first = await use(true);
    const second = await use();
    expect(second).not.toBe(first);
    expect(await use()).toBe(second);
    second.kill();
    expect(await use()).not.toBe(second);
    expect(alive()).toBe(1);
  });

  test("the place of one that died in use goes to the next who waits", async () => {
    const { pool, sessions } = setUp({ max: 1 });
    const first = held(pool);
    const killed = await first.begun;
    const second = pool.use(async (session) => session, 1000);
    killed.kill();
    first.end();
    expect(await second).not.toBe(killed);
    expect(sessions).toHaveLength(2);
  });

  test("one that cannot be opened hands its place on, to the last who waits", async () => {
    let fails = 3;
    const { pool } = setUp({ max: 1 }, async () => {
      await sleep(2);
      if (fails-- > 0) throw new Error("no virsh");
      return openSession();
    });
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () => pool.use(async () => "served", 1000)),
    );
    expect(results.map(({ status }) => status)).toEqual([
      "rejected",
      "rejected",
      "rejected",
      "fulfilled",
      "fulfilled",
    ]);
    expect(await pool.use(async () => "served", 1000)).toBe("served");
  });
});

describe("waiting", () => {
  test("more than may wait are busy at once", async () => {
    const { pool } = setUp({ max: 1, queue: 1 });
    const first = held(pool);
    const second = held(pool);
    await expect(pool.use(async () => {}, 1000)).rejects.toMatchObject({
      code: "busy",
      message: "1 calls are waiting already for a free session on this hypervisor",
    });
    first.end();
    second.end();
    await Promise.all([first.done, second.done]);
  });

  test("who waits too long is busy, and its place in the queue is given up", async () => {
    const { pool } = setUp({ max: 1, queue: 1 });
    const first = held(pool);
    await first.begun;
    await expect(pool.use(async () => {}, 30)).rejects.toMatchObject({
      code: "busy",
      message:
        "timed out after 0.03 s waiting for a free session on this hypervisor; nothing was started",
    });
    const next = pool.use(async () => "served", 1000);
    first.end();
    expect(await next).toBe("served");
  });

  test("a caller that goes away while it waits is cancelled and holds up nobody", async () => {
    const { pool } = setUp({ max: 1 });
    const first = held(pool);
    await first.begun;
    const caller = new AbortController();
    const gone = pool.use(async () => {}, 1000, caller.signal);
    const next = pool.use(async () => "served", 1000);
    caller.abort();
    await expect(gone).rejects.toMatchObject({ code: "cancelled" });
    first.end();
    expect(await next).toBe("served");
  });
});

describe("unused sessions", () => {
  test("are closed after a while, and then others may be opened", async () => {
    const { pool, sessions, alive } = setUp({ max: 1, idle: 20 });
    await pool.use(async () => {}, 1000);
    expect(alive()).toBe(1);
    await until(() => alive() === 0, "it is closed");
    await pool.use(async () => {}, 1000);
    expect(sessions).toHaveLength(2);
  });

  test("stay open as long as they are used", async () => {
    const idle = slow(100);
    const { pool, sessions } = setUp({ max: 1, idle });
    for (const end = Date.now() + 2 * idle; Date.now() < end; await sleep(10)) {
      await pool.use(async () => {}, 1000);
    }
    expect(sessions).toHaveLength(1);
  });

  test("are closed with the pool", async () => {
    const { pool, alive } = setUp();
    await Promise.all([pool.use(() => sleep(1), 1000), pool.use(() => sleep(1), 1000)]);
    expect(alive()).toBe(2);
    pool.close();
    expect(alive()).toBe(0);
  });
});

test("600 calls that open, die, fail, wait too long and go away never have too many sessions", async () => {
  const max = 4;
  const { pool, alive } = setUp({ max, queue: 50, idle: 5 }, async () => {
    await sleep(Math.random() * 2);
    if (Math.random() < 0.1) throw new Error("no virsh");
    return openSession();
  });
  const users = new Map<Session, number>();
  let most = 0;
  const seen: Record<string, number> = {};
  const call = async () => {
    await sleep(Math.random() * 600);
    const caller = new AbortController();
    if (Math.random() < 0.1) setTimeout(() => caller.abort(), 2);
    const work = async (session: Session) => {
      users.set(session, (users.get(session) ?? 0) + 1);
      expect(users.get(session)).toBe(1);
      most = Math.max(most, alive());
      await sleep(Math.random() * 8);
      if (Math.random() < 0.1) session.kill();
      users.delete(session);
    };
    const outcome = await pool.use(work, 10, caller.signal).then(
      () => "served",
      (error) => error.code ?? error.message,
    );
    seen[outcome] = (seen[outcome] ?? 0) + 1;
  };
  await Promise.all(Array.from({ length: 600 }, call));
  expect(most).toBe(max);
  expect(Object.keys(seen).sort()).toEqual(["busy", "cancelled", "no virsh", "served"]);
  // every place has come back: as many as ever can be held at once
  const all: ReturnType<typeof held>[] = [];
  while (all.length < max) {
    const one = held(pool);
    all.push(one);
    await Promise.race([one.begun, one.done.catch(() => all.pop())]);
  }
  expect(alive()).toBe(max);
  for (const one of all) one.end();
  await Promise.all(all.map(({ done }) => done));
});
