/** libvirtd dies, hangs or is not there, sessions are killed, callers leave: what the answers are then. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { xml } from "../../../runtime/libvirt/xml.ts";
import { type Journal, startJournal } from "../../fixtures/live/journal.ts";
import {
  clean,
  defineNetwork,
  expectError,
  expectSuccess,
  freeze,
  netInfo,
  networkNames,
  processes,
  sessions,
  thaw,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { type Answer, startServer, type TestServer } from "../../server.ts";

const run = promisify(execFile);
/** All networks go; so do the bridges that a libvirtd killed at the wrong moment has forgotten. */
async function cleanAll() {
  await clean();
  const { stdout } = await run("ip", ["-brief", "link", "show", "type", "bridge"]);
  for (const [name = ""] of stdout.matchAll(/^\S+/gm)) await run("ip", ["link", "delete", name]);
}

const active = async (name: string) => (await netInfo(name))?.Active;

/** Milliseconds that something takes. */
async function clock<T>(work: () => Promise<T>): Promise<[T, number]> {
  const started = performance.now();
  return [await work(), performance.now() - started];
}

describe("16 callers at once while libvirtd is killed and restarted under them", () => {
  const SECONDS = 10;
  const SESSIONS = 4; // a lane, by default
  /** What no caller may ever see otherwise. The names of the writers' networks sort between these. */
  const FIXED = Array.from({ length: 8 }, (_, i) => ({
    name: `net ${i}`,
    active: i % 2 === 0,
    autostart: i % 4 === 0,
    address: `10.50.${i}.1`,
    uuid: "",
  }));

  let journal: Journal;
  let server: TestServer;
  const wrong: string[] = [];
  const counts: Record<string, number> = {};
  const requests: Record<string, number> = {};
  let most = 0;
  let ended = false;

  beforeAll(async () => {
    for (const one of FIXED) {
      const ip = xml`<dns enable="no"/><ip address="${one.address}" prefix="24"/>`;
      await defineNetwork(one.name, ip);
      if (one.active) await virsh("net-start", one.name);
      if (one.autostart) await virsh("net-autostart", one.name);
      one.uuid = (await virsh("net-uuid", one.name)).trim();
    }
    for (const w of [0, 1])
      await defineNetwork(`net 5 own${w}`, xml`<bridge name="${`vbown${w}`}"/>`);
    journal = startJournal();
    server = await startServer({ PATH: journal.PATH });
  });
  afterAll(async () => {
    await server.stop();
    journal.remove();
    await cleanAll();
  });

  /** Note what a caller was told; undefined when it was an honest failure. */
  function judge(
    what: string,
    answer: Answer,
    honest: string[],
  ): Record<string, unknown> | undefined {
    const { status, body } = answer;
    const key = `${what} ${body.code ?? status}`;
    counts[key] = (counts[key] ?? 0) + 1;
    if (status === 200 || status === 201) return body.data;
    const enveloped = typeof body.error === "string" && typeof body.timestamp === "string";
    if (!enveloped || !honest.includes(body.code)) wrong.push(`${what}: ${JSON.stringify(body)}`);
    return undefined;
  }
  const READ = ["unreachable", "busy"];
  const CHANGE = ["unreachable", "outcome_unknown"];
  const expectSame = (what: string, found: unknown, expected: unknown) => {
    if (!Bun.deepEquals(found, expected)) wrong.push(`${what}: ${JSON.stringify(found)}`);
  };

  async function list() {
    const data = judge("list", await server.get("/libvirt/networks"), READ);
    if (!data) return;
    const rows = data.networks as Record<string, unknown>[];
    const fixed = FIXED.map(({ name, active, autostart }) => ({
      name,
      active,
      persistent: true,
      autostart,
    }));
    const own = FIXED.map(({ name }) => name);
    expectSame(
      "list",
      rows.filter(({ name }) => own.includes(`${name}`)),
      fixed,
    );
    expectSame("list: total", data.total, rows.length);
    for (const { name, active, persistent, autostart } of rows) {
      if (own.includes(`${name}`)) continue;
      // one that is being deleted is neither active nor persistent for a moment
      expectSame(`list: ${name}`, [autostart, persistent || !active], [false, true]);
    }
  }

  async function get(i: number) {
    const one = FIXED[i % FIXED.length] as (typeof FIXED)[number];
    const path = `/libvirt/network?name=${encodeURIComponent(one.name)}`;
    const data = judge("get", await server.get(path), READ);
    if (!data) return;
    const { name, uuid, active, autostart, ips } = data;
    const [{ address }] = ips as [{ address: string }];
    expectSame("get", { name, active, autostart, address, uuid }, one);
  }

  const change = (verb: string, name: string, input: object = {}) => {
    requests[`${verb} ${name}`] = (requests[`${verb} ${name}`] ?? 0) + 1;
    return server.post(`/libvirt/network/${verb}`, { name, ...input });
  };

  /** Killed while it made a bridge, libvirtd leaves it there, and can start no network with it any more. */
  async function settle(what: string, answer: Answer) {
    const left = /error creating bridge interface (\S+): File exists/.exec(answer.body.error)?.[1];
    if (left) await run("ip", ["link", "delete", left]).catch(() => {});
    return judge(what, answer, left ? ["virsh_failed"] : CHANGE);
  }

  /** Names that were never used before: a repeated change would be told as already done. */
  const expected = new Map<string, boolean | undefined>();
  async function lifecycle(writer: number, i: number) {
    const name = `net 3 w${writer} ${i}`;
    const answer = await change("create", name, { forward: "none" });
    const created = judge("create", answer, CHANGE);
    if (answer.body.code === "unreachable") expected.set(name, false);
    if (!created) return;
    expectSame("create", [created.name, created.active], [name, false]);
    await settle("start", await change("start", name));
    const deleted = judge("delete", await change("delete", name), CHANGE);
    expected.set(name, deleted ? false : undefined);
  }

  /** One network, started and stopped in turn; what it is after a lost answer is looked up. */
  const state = new Map<string, boolean | undefined>();
  async function switching(writer: number) {
    const name = `net 5 own${writer}`;
    const path = `/libvirt/network?name=${encodeURIComponent(name)}`;
    const known = state.get(name);
    const now = judge("look", await server.get(path), READ)?.active as boolean | undefined;
    if (now === undefined) return;
    if (known !== undefined && now !== known) wrong.push(`${name} was left ${known}, is ${now}`);
    const answer = await change(now ? "stop" : "start", name);
    const done = await settle(now ? "stop" : "start", answer);
    const undone = answer.body.code === "unreachable" ? now : undefined;
    state.set(name, done ? !now : undone);
  }

  async function caller(work: (i: number) => Promise<void>) {
    for (let i = 0; !ended; i++) {
      await work(i).catch((error: Error) => wrong.push(`no answer: ${error.message}`));
      await sleep(5);
    }
  }

  test("no answer is wrong, and each is the caller's own", async () => {
    const callers = [
      ...Array.from({ length: 5 }, () => caller(list)),
      ...Array.from({ length: 7 }, (_, c) => caller((i) => get(i + c))),
      ...[0, 1].map((w) => caller((i) => lifecycle(w, i))),
      ...[0, 1].map((w) => caller(() => switching(w))),
      caller(async () => {
        most = Math.max(most, sessions(server).length);
        await sleep(100);
      }),
    ];
    const deadline = Date.now() + SECONDS * 1000;
    while (Date.now() < deadline) {
      await sleep(1500);
      await stopLibvirtd("SIGKILL");
      await sleep(150 * Math.random());
      await startLibvirtd();
    }
    const [, ms] = await clock(() =>
      until(
        "reads work again",
        async () => {
          const answers = await Promise.all(
            FIXED.map((_, i) => server.get(`/libvirt/network?name=net%20${i}`)),
          );
          return answers.every(({ status }) => status === 200);
        },
        2,
      ),
    );
    await sleep(1000);
    ended = true;
    await Promise.all(callers);
    console.log(counts, `reads again after ${Math.round(ms)} ms`);
    expect(wrong).toEqual([]);
    expect(counts["get 200"]).toBeGreaterThan(20_000 / slow(1000));
    expect(counts["create 201"]).toBeGreaterThan(2_000 / slow(1000));
  });

  test("what the callers were told is so", async () => {
    const names = await networkNames();
    for (const [name, there] of expected) {
      if (there !== undefined) expect([name, names.includes(name)]).toEqual([name, there]);
    }
    for (const [name, running] of state) {
      if (running !== undefined) expect(await active(name)).toBe(running ? "yes" : "no");
    }
    for (const one of FIXED) expect(await active(one.name)).toBe(one.active ? "yes" : "no");
  });

  test("no changing command ran twice", () => {
    const ran: Record<string, number> = {};
    for (const { command, began } of journal.entries()) {
      const [, verb = "", name = ""] = command.match(/^net-(\w+) '--network' '(.*)'$/) ?? [];
      if (began && /^(start|destroy|undefine)$/.test(verb)) {
        ran[`${verb} ${name}`] = (ran[`${verb} ${name}`] ?? 0) + 1;
      }
    }
    // deleting stops first
    const asked = (verb: string, name: string) =>
      verb === "start"
        ? requests[`start ${name}`]
        : (requests[`delete ${name}`] ?? requests[`stop ${name}`]);
    const tooOften = Object.entries(ran).filter(([key, times]) => {
      const [verb = "", name = ""] = key.split(/ (.*)/);
      return times > (asked(verb, name) ?? 0);
    });
    expect(tooOften).toEqual([]);
    const defined = journal
      .entries()
      .filter(({ command, began }) => began && command.startsWith("net-define"));
    const creates = Object.keys(requests).filter((key) => key.startsWith("create"));
    expect(defined.length).toBeLessThanOrEqual(creates.length);
    expect(defined.length).toBeGreaterThanOrEqual(counts["create 201"] ?? 0);
  });

  test("no session is left over", async () => {
    // reads and changes have their own; one that was just killed may still be seen
    expect(sessions(server).length).toBeLessThanOrEqual(2 * SESSIONS);
    expect(most).toBeLessThanOrEqual(4 * SESSIONS);
    await server.stop();
    await until("the last session dies", () => processes("virsh").length === 0, 1);
  });
});

/** Long enough for all that the tests do meanwhile, and shorter than virsh's timeout of 30 s. */
const HANG_MS = Math.min(slow(14_000), 25_000);

describe.concurrent("while libvirtd hangs", () => {
  let thawed: Promise<void>;
  const servers: TestServer[] = [];
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "config-"));
    await writeFile(join(folder, "short.toml"), "[virsh]\ntimeout = 2\nsessions = 2\n");
    const short = { HYPERSDK_CONFIG: join(folder, "short.toml") };
    servers.push(...(await Promise.all([{}, short, {}, {}].map((env) => startServer(env)))));
    for (const name of ["slow", "late", "left", "killed"]) {
      await defineNetwork(name);
      await virsh("net-start", "--network", name);
    }
    for (const server of servers) {
      // its own first call is over, so that one session is all it has
      await until("it knows its hypervisor", () => server.log().includes("local (qemu"));
      expectSuccess(await server.get("/libvirt/networks"));
      expect(sessions(server).length).toBe(1);
    }
    freeze();
    thawed = sleep(HANG_MS).then(thaw);
  });
  afterAll(async () => {
    await thawed;
    await Promise.all(servers.map((server) => server.stop()));
    await rm(folder, { recursive: true });
    await cleanAll();
  });

  /** One command whatever the release: a start first looks for the bridge on libvirt 11 and later. */
  const stop = (server: TestServer, name: string, init?: RequestInit) =>
    server.post("/libvirt/network/stop", { name }, init);
  const hasNone = (server: TestServer) => sessions(server).length === 0;

  test("a change takes as long as it takes: the server does not cut it", async () => {
    const [answer, ms] = await clock(() => stop(servers[0] as TestServer, "slow"));
    expectSuccess(answer);
    expect(ms).toBeGreaterThan(12_000);
    expect(await active("slow")).toBe("no");
  });

  test("a call ends with 504 after its timeout and frees its session", async () => {
    const server = servers[1] as TestServer;
    for (const warm of [true, false]) {
      const [answer, ms] = await clock(() => server.get("/libvirt/networks"));
      expectError(answer, 504, "timed_out", /no answer within 2 s/);
      expect(ms, `on a ${warm ? "warm" : "fresh"} session`).toBeGreaterThan(1900);
      expect(ms).toBeLessThan(slow(3000));
      await until("its session ends", () => hasNone(server), 1);
    }
    const changed = await stop(server, "late");
    expectError(changed, 504, "timed_out", /no answer within 2 s; it may still be carried out/);
    await until("its session ends", () => hasNone(server), 1);
    const many = Array.from({ length: 6 }, () => server.get("/libvirt/network?name=late"));
    const [answers, ms] = await clock(() => Promise.all(many));
    for (const { body } of answers) expect(body.code).toMatch(/^(timed_out|busy)$/);
    expect(ms).toBeLessThan(slow(5000));
    await until("their sessions end", () => hasNone(server), 1);
    await thawed;
    const [again, soon] = await clock(() => server.get("/libvirt/networks"));
    expectSuccess(again);
    expect(soon).toBeLessThan(slow(2000));
  });

  test("a caller that leaves frees the session of its read; its change goes on", async () => {
    const server = servers[2] as TestServer;
    const leave = async (call: (init: RequestInit) => Promise<unknown>) => {
      const signal = AbortSignal.timeout(500);
      await expect(call({ signal })).rejects.toThrow();
    };
    await leave((init) => server.get("/libvirt/networks", init));
    await until("its session ends", () => hasNone(server), 1);
    await leave((init) => stop(server, "left", init));
    await sleep(500);
    expect(hasNone(server)).toBe(false);
    await thawed;
    await until("the change is made", async () => (await active("left")) === "no");
    expectSuccess(await server.get("/libvirt/networks"));
  });

  test("a session killed during a call: a read recovers, a change is not repeated", async () => {
    const server = servers[3] as TestServer;
    const kill = () => {
      for (const pid of sessions(server)) process.kill(pid, "SIGKILL");
    };
    const reading = server.get("/libvirt/network?name=killed");
    await sleep(1000);
    kill();
    await sleep(1000); // the read hangs on a fresh session now
    const before = sessions(server);
    expect(before.length).toBe(1);
    const changing = stop(server, "killed");
    await until("the change is on its way", () => sessions(server).length === 2);
    await sleep(500);
    for (const pid of sessions(server)) {
      if (!before.includes(pid)) process.kill(pid, "SIGKILL");
    }
    const answer = await changing;
    expect(answer.status).toBeGreaterThanOrEqual(500);
    expect(answer.body.code).toBe("outcome_unknown");
    await thawed;
    expect(expectSuccess(await reading)).toMatchObject({ name: "killed" });
  });
});

const HOOK = "/etc/libvirt/hooks/network";
const STARTING = "/run/starting";

describe("a hypervisor that comes and goes", () => {
  afterEach(cleanAll);

  test("libvirtd is not there when the server starts: 503, until it comes", async () => {
    await stopLibvirtd();
    const server = await startServer();
    try {
      const [answer, ms] = await clock(() => server.get("/libvirt/networks"));
      const why = /^hypervisor local: .*connect socket to '.*': (No such file|Connection refused)/;
      expectError(answer, 503, "unreachable", why);
      expect(ms).toBeLessThan(slow(5000));
      const change = await server.post("/libvirt/network/create", { name: "lan" });
      expectError(change, 503, "unreachable", why);
      await startLibvirtd();
      expect(expectSuccess(await server.get("/libvirt/networks"))).toMatchObject({ total: 0 });
    } finally {
      if (processes("libvirtd").length === 0) await startLibvirtd();
      await server.stop();
    }
  });

  test("restarted between calls: the next ones succeed", async () => {
    await defineNetwork("lan");
    const server = await startServer();
    try {
      for (const verb of ["start", "stop"]) {
        expectSuccess(await server.post(`/libvirt/network/${verb}`, { name: "lan" }));
        expectSuccess(await server.get("/libvirt/networks"));
        await stopLibvirtd();
        await startLibvirtd();
      }
      expectSuccess(await server.post("/libvirt/network/start", { name: "lan" }));
      expect(expectSuccess(await server.get("/libvirt/networks")).total).toBe(1);
    } finally {
      await server.stop();
    }
  });

  test("a create whose start is cut off in the middle does not take the definition away", async () => {
    // libvirtd runs this while it starts a network, and looks for it when it starts itself
    await mkdir("/etc/libvirt/hooks", { recursive: true });
    const held = `touch ${STARTING} && sleep ${slow(2000) / 1000}`;
    await writeFile(HOOK, `#!/bin/sh\n[ "$2" = start ] && ${held}\nexit 0\n`, { mode: 0o755 });
    await stopLibvirtd();
    await startLibvirtd();
    const server = await startServer();
    try {
      const creating = server.post("/libvirt/network/create", {
        name: "lan",
        forward: "none",
        start: true,
      });
      // virsh would wait until the start is over
      await until("it is starting", () => existsSync(STARTING));
      for (const pid of sessions(server)) process.kill(pid, "SIGKILL");
      expectError(await creating, 500, "outcome_unknown", /net-start.*left defined/);
      await until("it has started", async () => (await active("lan")) === "yes");
      expect(await netInfo("lan")).toMatchObject({ Persistent: "yes" });
    } finally {
      await rm(HOOK);
      await rm(STARTING, { force: true });
      await stopLibvirtd();
      await startLibvirtd();
      await server.stop();
    }
  });

  test("sessions killed between calls: the next ones succeed", async () => {
    await defineNetwork("lan");
    const server = await startServer();
    try {
      for (const verb of ["start", "stop", "start", "delete"]) {
        expectSuccess(await server.get("/libvirt/network?name=lan"));
        expectSuccess(await server.post(`/libvirt/network/${verb}`, { name: "lan" }));
        const open = sessions(server);
        expect(open.length).toBeGreaterThanOrEqual(2);
        for (const pid of open) process.kill(pid, "SIGKILL");
      }
      expect(expectSuccess(await server.get("/libvirt/networks")).total).toBe(0);
    } finally {
      await server.stop();
    }
  });
});
