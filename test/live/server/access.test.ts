/** The server among the users of its machine, under load, and at its end, on a real libvirtd. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FUNCTIONS } from "../../../runtime/function/load.ts";
import { type Guarded, guarded } from "../../fixtures/access.ts";
import {
  alive,
  clean,
  defineDomain,
  defineNetwork,
  expectError,
  expectSuccess,
  freeze,
  netInfo,
  networkNames,
  sessions,
  thaw,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { type Answer, startServer, type TestServer } from "../../server.ts";

afterEach(clean);

const run = promisify(execFile);

/** Run a command as the user nobody. */
async function asNobody(...argv: string[]): Promise<string> {
  const drop = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"];
  const { stdout } = await run("setpriv", [...drop, ...argv], { timeout: slow(20_000) });
  return stdout;
}

const JSON_TYPE = ["--header", "Content-Type: application/json"];
const curl = ["curl", "--silent", "--write-out", " %{http_code}"];

describe("another user of the machine", () => {
  let server: TestServer;
  let access: Guarded;
  beforeAll(async () => {
    access = guarded();
    server = await startServer(access.env);
  });
  afterAll(async () => {
    await server.stop();
    access.remove();
  });

  test("may not even look", async () => {
    const said = await asNobody(...curl, `${server.url}/libvirt/networks`);
    expect(said).toMatch(/user \\"nobody\\" is none of them.* 403$/);
    expect((await server.get("/libvirt/networks")).status).toBe(200);
  });

  test("may change nothing, on a connection of theirs beside ours either", async () => {
    await defineNetwork("lan");
    const start = [...JSON_TYPE, "--data", '{"name":"lan"}', `${server.url}/libvirt/network/start`];
    for (let n = 0; n < 20; n++) {
      const [said, ours] = await Promise.all([
        asNobody(...curl, ...start),
        server.get("/libvirt/networks"),
      ]);
      expect([said.slice(-4), ours.status]).toEqual([" 403", 200]);
    }
    expect(await netInfo("lan")).toMatchObject({ Active: "no" });
    expect(access.audited()).toEqual([]);
  });

  test("nor by going away at once: a socket without an owner says that it is root's", async () => {
    const { port } = new URL(server.url);
    const body = '{"name":"gone","forward":"none"}';
    const request = `POST /libvirt/network/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
    const script = `import socket
for n in range(200):
    s = socket.create_connection(("127.0.0.1", ${port}))
    s.sendall(${JSON.stringify(request)}.encode())
    s.close()`;
    await asNobody("/usr/bin/env", "python3", "-c", script);
    await sleep(1000);
    expect(await networkNames()).toEqual([]);
    expect(access.audited()).toEqual([]);
  });

  test("with a token has what it is for", async () => {
    const other = guarded();
    const token = await other.token("theirs", { role: "read" });
    const theirs = await startServer(other.env);
    try {
      const key = ["--header", `X-API-Key: ${token}`];
      expect(await asNobody(...curl, ...key, `${theirs.url}/libvirt/networks`)).toMatch(/ 200$/);
      const create = [
        ...JSON_TYPE,
        "--data",
        '{"name":"x"}',
        `${theirs.url}/libvirt/network/create`,
      ];
      expect(await asNobody(...curl, ...key, ...create)).toMatch(/access:admin.* 403$/);
    } finally {
      await theirs.stop();
      other.remove();
    }
  });

  test("who is a member of the group needs none", async () => {
    const other = guarded('access.group = "nogroup"');
    const theirs = await startServer(other.env);
    try {
      expect(await asNobody(...curl, `${theirs.url}/whoami`)).toMatch(
        /"user","name":"nobody".* 200$/,
      );
    } finally {
      await theirs.stop();
      other.remove();
    }
  });

  test("is kept from the Unix socket by its permissions", async () => {
    for (const [group, code] of [
      ["nogroup", " 200"],
      ["root", " 000"],
    ]) {
      const path = "/run/hypersdk-test.sock";
      const other = guarded(`listen = "unix:${path}"`, `access.group = "${group}"`);
      const theirs = await startServer(other.env);
      try {
        const ask = [
          "sh",
          "-c",
          `${curl.map((one) => `'${one}'`).join(" ")} --unix-socket ${path} http://localhost/libvirt/networks || true`,
        ];
        expect((await asNobody(...ask)).slice(-4)).toBe(code);
      } finally {
        await theirs.stop();
        other.remove();
      }
    }
  });

  test("a function that serves itself knows them too", async () => {
    const other = guarded();
    const alone = await startServer(other.env, [join(FUNCTIONS, "libvirt/networks.ts")]);
    try {
      expect(await asNobody(...curl, alone.url)).toMatch(/forbidden.* 403$/);
      expect((await alone.get("/")).status).toBe(200);
    } finally {
      await alone.stop();
      other.remove();
    }
  });
});

test("a server of another user serves that user, and root", async () => {
  const folder = (await asNobody("mktemp", "-d")).trim();
  const env = { HOME: folder, PORT: "0", LIBVIRT_DEFAULT_URI: "test:///default" };
  const words = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const drop = ["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "env", ...words];
  // wherever it stands, perhaps in somebody's closed home: here everybody may read it
  const [code, place] = [join(FUNCTIONS, ".."), "/run/code"];
  mkdirSync(place, { recursive: true });
  await run("mount", ["--bind", code, place]);
  const [bun, serve] = [process.execPath.replace(code, place), `${place}/runtime/serve.ts`];
  const child = spawn("setpriv", [...drop, bun, serve], { cwd: folder });
  const closed = once(child, "close");
  try {
    let said = "";
    child.stderr.on("data", (text) => {
      said += text;
    });
    await until("it listens", () => said.includes("functions on"), 15);
    const [url] = said.match(/http:[\w.:/]+/) ?? [];
    // nobody's own ID is also what the kernel says for users it does not know here
    expect(await asNobody(...curl, `${url}health`)).toMatch(/ 403$/);
    expect((await fetch(`${url}health`)).status).toBe(200);
  } finally {
    child.kill("SIGTERM");
    await closed;
    await run("umount", [place]);
    await asNobody("rm", "-r", folder);
  }
});

describe("calls at work at once", () => {
  test("are bounded for a hypervisor, the others wait, and what is too much is refused", async () => {
    const access = guarded("limits.per_host = 2", "limits.queue = 1", "limits.wait = 5");
    const server = await startServer(access.env);
    try {
      expectSuccess(await server.get("/libvirt/networks"));
      freeze();
      const first = [server.get("/libvirt/networks"), server.get("/libvirt/networks")];
      await sleep(slow(300));
      const waits = server.get("/libvirt/networks");
      await sleep(slow(300));
      const refused = await server.get("/libvirt/networks");
      expectError(refused, 503, "busy", /waiting already/);
      expect(refused.headers.get("Retry-After")).toBe("1");
      expectSuccess(await server.get("/health")); // asks no hypervisor
      thaw();
      for (const answer of await Promise.all([...first, waits])) expectSuccess(answer);
    } finally {
      thaw();
      await server.stop();
      access.remove();
    }
  });
});

describe("the end", () => {
  /** A domain that does not shut down: asked to, and waited for, that takes the seconds that are given. */
  const stopping = (server: TestServer, timeout: number) =>
    server.post("/libvirt/batch/stop", { domains: ["deaf"], timeout });

  async function ending(
    toml: string[],
    work: (server: TestServer, access: Guarded) => Promise<void>,
  ) {
    await defineDomain("deaf");
    await virsh("start", "--domain", "deaf");
    const access = guarded(...toml);
    const server = await startServer(access.env);
    try {
      await work(server, access);
      await until("no session is left", () => sessions(server).length === 0, 3);
    } finally {
      await server.stop();
      access.remove();
    }
  }

  test("SIGTERM: a call under way is answered, and none is taken any more", () =>
    ending([], async (server, access) => {
      const running = stopping(server, 2);
      const idle = connect(Number(new URL(server.url).port), "127.0.0.1");
      await once(idle, "connect");
      await sleep(slow(500));
      process.kill(server.pid, "SIGTERM");
      await sleep(200);
      await expect(fetch(`${server.url}/health`)).rejects.toThrow();
      expect(alive(server.pid)).toBe(true);
      const { status, body } = await running;
      expect([status, body.results]).toMatchObject([200, [{ code: "timed_out" }]]);
      await until("the server ends", () => !alive(server.pid), 3);
      expect(access.audited()).toMatchObject([{ result: "done", failed: 1 }]);
      idle.destroy();
    }));

  test("a call that takes longer than it may is cut off, and the audit log says so", () =>
    ending(["limits.shutdown = 1"], async (server, access) => {
      const running = stopping(server, 60).catch((error: Error) => error);
      await sleep(slow(500));
      const began = performance.now();
      process.kill(server.pid, "SIGTERM");
      await until("the server ends", () => !alive(server.pid), 10);
      expect(performance.now() - began).toBeGreaterThan(1000);
      const [result] = ((await running) as Answer).body.results;
      expect(result).toMatchObject({
        ...{ domain: "deaf", code: "cancelled" },
        error: "asked to shut down, and still running when the call was cut off",
      });
      expect(access.audited()).toMatchObject([
        { function: "/libvirt/batch/stop", status: 200, successful: 0, failed: 1 },
      ]);
      expect(await virsh("domstate", "--domain", "deaf")).toMatch("running");
    }));

  test("a second signal is the end at once", () =>
    ending([], async (server, access) => {
      const running = stopping(server, 60).catch((error: Error) => error);
      await sleep(slow(500));
      process.kill(server.pid, "SIGTERM");
      await sleep(200);
      expect(alive(server.pid)).toBe(true);
      process.kill(server.pid, "SIGTERM");
      await until("the server ends", () => !alive(server.pid), 2);
      expect(await running).toBeInstanceOf(Error);
      expect(access.audited()).toMatchObject([{ result: "unknown" }]);
    }));
});

test("a call on a Unix socket may be silent for longer than Bun's ten seconds", async () => {
  const path = "/run/hypersdk-test.sock";
  const access = guarded(`listen = "unix:${path}"`);
  const server = await startServer(access.env);
  try {
    await defineDomain("deaf");
    await virsh("start", "--domain", "deaf");
    const response = await fetch("http://localhost/libvirt/batch/stop", {
      unix: path,
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ domains: ["deaf"], timeout: 12 }),
    });
    expect(await response.json()).toMatchObject({ results: [{ code: "timed_out" }] });
  } finally {
    await server.stop();
    access.remove();
  }
});
