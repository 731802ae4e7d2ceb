/** The server's own safety, over HTTP: pages of others, limits, IDs, the audit log, a function alone. */
import { chmodSync, mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { FUNCTIONS } from "../../../runtime/function/load.ts";
import { type Guarded, guarded, noticed } from "../../fixtures/access.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer, type TestServer } from "../../server.ts";

const TEST = 'hosts.local.uri = "test:///default"';
interface Served {
  server: TestServer;
  access: Guarded;
}
const running: Served[] = [];
afterEach(() => ending(running.splice(0)));

async function ending(served: Served[]) {
  for (const { server, access } of served) {
    await server.stop();
    access.remove();
  }
}

async function start(toml: string[], argv?: string[], env = {}): Promise<Served> {
  const access = guarded(TEST, ...toml);
  return { access, server: await startServer({ ...access.env, ...env }, argv) };
}

/** A server of this test's own. */
async function serving(toml: string[] = [], argv?: string[], env = {}) {
  const served = await start(toml, argv, env);
  running.push(served);
  return served;
}

/** One for tests that leave nothing behind on it. */
let plain: Served;
beforeAll(async () => {
  plain = await start([]);
});
afterAll(() => ending([plain]));

const pause = JSON.stringify({ name: "test" });
const json = { "Content-Type": "application/json" };
/** A change, with these headers. */
const change = (
  { get }: TestServer,
  headers: Record<string, string> = {},
  path = "/libvirt/domain/pause",
) => get(path, { method: "POST", body: pause, headers: { ...json, ...headers } });
/** One that can be made again and again: a batch is 200 whatever comes of its domains. */
const pauseAll = ({ get }: TestServer, headers: Record<string, string>) => {
  const body = JSON.stringify({ domains: ["test"] });
  return get("/libvirt/batch/pause", { method: "POST", body, headers: { ...json, ...headers } });
};

describe("on loopback, without tokens", () => {
  test("this user may do everything", async () => {
    const { server, access } = await serving();
    expect((await change(server)).status).toBe(200);
    const { body } = await server.get("/whoami");
    expect(body.data).toMatchObject({ kind: "user", access: "admin", domains: null });
    expect(access.audited()).toMatchObject([{ who: { kind: "user", name: body.data.name } }]);
  });

  test("a token that is wrong is refused all the same", async () => {
    const { server } = await serving();
    expect((await change(server, { Authorization: "Bearer hsk_wrong" })).status).toBe(401);
  });

  test("while nobody can tell whether there are tokens, nobody may", async () => {
    const { server, access } = await serving();
    symlinkSync("tokens.json", access.tokens);
    await noticed();
    expect((await change(server)).body).toMatchObject({ code: "internal" });
    expect((await server.get("/health")).status).toBe(500);
    rmSync(access.tokens);
    await noticed();
    expect((await server.get("/health")).status).toBe(200);
  });

  test("as soon as there is a token, one is needed; unless configured otherwise", async () => {
    const { server, access } = await serving();
    await access.token("ci", { role: "read" });
    expect((await server.get("/health")).status).toBe(401);
    const free = await serving(["access.local = true"]);
    await free.access.token("ci", { role: "read" });
    expect((await free.server.get("/health")).status).toBe(200);
    const never = await serving(["access.local = false"]);
    expect((await never.server.get("/health")).status).toBe(401);
  });

  test.each(["127.0.0.1:1234", "localhost", "LOCALHOST:80", "[::1]:8080", "127.8.9.1"])(
    "the Host header may be %s",
    async (Host) => {
      const { server } = plain;
      expect((await pauseAll(server, { Host })).status).toBe(200);
    },
  );

  test.each([
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.nip.io",
    "10.0.0.1",
    "[::2]",
  ])("nor %s: whoever owns the name could make a browser take it for this server", async (Host) => {
    const { server, access } = plain;
    for (const answer of [
      await pauseAll(server, { Host }),
      await server.get("/health", { headers: { Host } }),
    ]) {
      expect([answer.status, answer.body.missing]).toEqual([403, "host header"]);
    }
    expect(access.audited().filter(({ result }) => result === "refused")).toEqual([]);
  });
});

describe("pages of other origins", () => {
  const own = ({ url }: TestServer) => url;
  const cases: [string, (server: TestServer) => Record<string, string>, boolean][] = [
    ["no browser", () => ({}), true],
    [
      "this server's page",
      (server) => ({ Origin: own(server), "Sec-Fetch-Site": "same-origin" }),
      true,
    ],
    ["this server's page, an old browser", (server) => ({ Origin: own(server) }), true],
    ["typed by a person", () => ({ "Sec-Fetch-Site": "none" }), true],
    [
      "another site",
      () => ({ Origin: "https://evil.example", "Sec-Fetch-Site": "cross-site" }),
      false,
    ],
    [
      "another port of this machine",
      () => ({ Origin: "http://localhost:3000", "Sec-Fetch-Site": "same-site" }),
      false,
    ],
    ["the same, an old browser", () => ({ Origin: "http://127.0.0.1:1" }), false],
    ["a sandbox, a file", () => ({ Origin: "null" }), false],
    ["without its name", () => ({ "Sec-Fetch-Site": "cross-site" }), false],
    [
      "a form",
      () => ({
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
      }),
      false,
    ],
  ];
  test.each(cases)("%s", async (_who, headers, allowed) => {
    const { server } = plain;
    const { status, body } = await pauseAll(server, headers(server));
    if (allowed) expect(status).toBe(200);
    else expect([status, body.missing]).toEqual([403, "origin"]);
  });

  test("a link from another site opens a page, and no frame", async () => {
    const { server } = plain;
    const from = (dest: string) => ({ "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": dest });
    expect((await server.get("/health", { headers: from("document") })).status).toBe(200);
    expect((await server.get("/health", { headers: from("iframe") })).status).toBe(403);
    expect((await server.get("/health", { headers: from("empty") })).status).toBe(403);
  });

  test("POST takes only JSON", async () => {
    const { server } = plain;
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      expect((await pauseAll(server, { "Content-Type": type })).status).toBe(415);
    }
  });

  test("none may read an answer, or send a header of its own", async () => {
    const { server } = await serving();
    const headers = { Origin: "https://ui.example", "Access-Control-Request-Method": "POST" };
    const preflight = await fetch(`${server.url}/whoami`, { method: "OPTIONS", headers });
    expect(preflight.status).toBe(403);
    expect([...preflight.headers.keys()].filter((name) => name.startsWith("access-"))).toEqual([]);
  });

  test("unless they are configured", async () => {
    const { server, access } = await serving(['cors.origins = ["https://ui.example"]']);
    const token = await access.token("ui", { role: "operate" });
    const Origin = "https://ui.example";
    const asked = { Origin, "Access-Control-Request-Method": "POST" };
    const preflight = await fetch(`${server.url}/libvirt/domain/pause`, {
      method: "OPTIONS",
      headers: asked,
    });
    expect(preflight.status).toBe(204);
    expect(preflight.headers.get("Access-Control-Allow-Origin")).toBe(Origin);
    expect(preflight.headers.get("Access-Control-Allow-Headers")).toContain("Authorization");
    const bearer = { Authorization: `Bearer ${token}`, "Sec-Fetch-Site": "cross-site" };
    const answer = await change(server, { Origin, ...bearer });
    expect([answer.status, answer.headers.get("Access-Control-Allow-Origin")]).toEqual([
      200,
      Origin,
    ]);
    const refused = await change(server, { Origin });
    expect([refused.status, refused.headers.get("Access-Control-Allow-Origin")]).toEqual([
      401,
      Origin,
    ]);
    expect((await change(server, { ...bearer, Origin: "https://evil.example" })).status).toBe(403);
  });
});

describe("limits", () => {
  test("calls a second: 429, and when to come again", async () => {
    const { server, access } = await serving(["limits.rate = 5"]);
    const token = await access.token("ci", { role: "read" });
    const get = (headers = {}) => server.get("/health", { headers });
    const many = await Promise.all(Array.from({ length: 20 }, () => get({ "X-API-Key": token })));
    const refused = many.filter(({ status }) => status === 429);
    expect(many.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(5);
    expect(refused.length).toBeGreaterThanOrEqual(5);
    expect(refused[0]?.body).toMatchObject({ code: "rate_limited", retry_after: 1 });
    expect(refused[0]?.headers.get("Retry-After")).toBe("1");
    // without a token: by address, apart from the token's
    const none = await Promise.all(Array.from({ length: 20 }, () => get()));
    expect(new Set(none.map(({ status }) => status))).toEqual(new Set([401, 429]));
  });

  test("bytes of headers and of the URL: 431 in the envelope", async () => {
    const { server } = plain;
    const large = await server.get("/health", { headers: { "X-Large": "x".repeat(9000) } });
    expect([large.status, large.body.code]).toEqual([431, "headers_too_large"]);
    expect((await server.get(`/health?x=${"x".repeat(9000)}`)).status).toBe(431);
  });

  test("bytes of a body", async () => {
    const { server } = await serving(["max_body = 100"]);
    const { status, body } = await server.post("/libvirt/domain/pause", { name: "x".repeat(100) });
    expect([status, body.code]).toEqual([413, "payload_too_large"]);
  });
});

describe("the request's ID", () => {
  test("is in the answer, in errors, in the audit log and in every line of the log", async () => {
    const { server, access } = await serving([], undefined, { LOG_LEVEL: "debug" });
    const answer = await change(server);
    const id = answer.headers.get("X-Request-Id") as string;
    expect(id).toMatch(/^[\w-]{36}$/);
    expect(answer.body).not.toHaveProperty("request_id");
    expect(access.audited()).toMatchObject([{ request_id: id }]);
    const lines = server
      .log()
      .split("\n")
      .filter((line) => line.includes(id))
      .map((line) => JSON.parse(line));
    expect(lines.map(({ msg }) => msg)).toEqual(["virsh", "POST /libvirt/domain/pause 200"]);
    expect(lines[0]).toMatchObject({ host: "local", argvs: [["suspend", "--domain", "test"]] });
    expect(lines[0].ms).toBeGreaterThan(0);
    expect(lines[1]).toMatchObject({ status: 200, path: "/libvirt/domain/pause", host: "local" });
    const error = await server.get("/libvirt/network?name=nowhere");
    expect(error.body.request_id).toBe(error.headers.get("X-Request-Id"));
  });

  test("may be a proxy's own", async () => {
    const { server } = await serving();
    const ask = async (id: string) => {
      const { headers } = await server.get("/health", { headers: { "X-Request-Id": id } });
      return headers.get("X-Request-Id");
    };
    expect(await ask("abc-123")).toBe("abc-123");
    expect(await ask('x" y')).toMatch(/^[\w-]{36}$/);
  });
});

describe("the audit log", () => {
  test("has each change, refused or not, and no read", async () => {
    const { server, access } = await serving();
    const token = await access.token("ci", { role: "operate" });
    const headers = { ...json, "X-API-Key": token };
    const post = (path: string, body: unknown, query = "") =>
      server.get(`${path}${query}`, { method: "POST", headers, body: JSON.stringify(body) });
    await server.get("/libvirt/domains", { headers });
    await post("/libvirt/domain/pause", { name: "test" });
    await post("/libvirt/domain/pause", { name: "nowhere" }, "?host=local");
    await post("/libvirt/domain/pause", { nme: "test" });
    await post("/libvirt/batch/resume", { domains: ["test", "nowhere"] });
    const deploy = { template: "test", name: "new", customize: { root_password: "hunter2" } };
    await post("/libvirt/template/deploy", deploy);
    await server.post("/libvirt/domain/pause", { name: "test" }); // by nobody
    await server.get("/libvirt/domain/pause", { method: "POST", headers, body: "{" });
    const audited = access.audited();
    expect(audited).toMatchObject([
      {
        function: "/libvirt/domain/pause",
        result: "done",
        status: 200,
        arguments: { name: "test" },
      },
      {
        result: "failed",
        status: 404,
        code: "not_found",
        host: "local",
        arguments: { name: "nowhere" },
      },
      { result: "failed", status: 400, code: "invalid_input", arguments: null },
      { result: "done", status: 200, successful: 1, failed: 1 },
      { function: "/libvirt/template/deploy", result: "refused", status: 403, arguments: null },
      { status: 400, code: "invalid_input", error: "body: not valid JSON", arguments: null },
    ]);
    expect(audited).toHaveLength(6);
    for (const one of audited) {
      expect(one).toMatchObject({ who: { kind: "token", name: "ci" }, address: "127.0.0.1" });
      expect(Date.parse(one.time)).toBeGreaterThan(Date.now() - 60_000);
      expect(one.duration_ms).toBeGreaterThan(0);
    }
  });

  test("has no secret", async () => {
    const { server, access } = await serving();
    const customize = { root_password: "hunter2" };
    await server.post("/libvirt/template/deploy", { template: "test", name: "new", customize });
    const [line] = access.audited();
    expect(line?.arguments).toMatchObject({
      name: "new",
      customize: { root_password: "[redacted]" },
    });
    expect(JSON.stringify(access.audited()) + server.log()).not.toContain("hunter2");
  });

  test("that cannot be written stops changes, and no read", async () => {
    const { server, access } = await serving();
    const file = join(access.folder, "audit.jsonl");
    rmSync(file);
    mkdirSync(file);
    expect((await change(server)).status).toBe(200); // found out by this one
    const refused = await change(server, {}, "/libvirt/domain/resume");
    expect([refused.status, refused.body.code]).toEqual([503, "audit_failed"]);
    const { body } = await server.get("/libvirt/stats?name=test");
    expect(body.data.state).toBe("paused");
    rmSync(file, { recursive: true });
    expect((await change(server, {}, "/libvirt/domain/resume")).status).toBe(200);
    expect(access.audited().map((one) => one.function)).toEqual([
      "/libvirt/domain/pause",
      "/libvirt/domain/resume",
    ]);
  });

  test("that cannot be made keeps the server from starting", async () => {
    const access = guarded(TEST);
    mkdirSync(join(access.folder, "audit.jsonl"));
    await expect(startServer(access.env)).rejects.toThrow(/did not start[\s\S]*audit\.jsonl/);
    access.remove();
  });
});

describe("a function that serves itself", () => {
  const file = join(FUNCTIONS, "libvirt/domain/pause.ts");

  test("checks its callers as the host does, whatever path they ask for", async () => {
    const { server, access } = await serving([], [file]);
    expect((await change(server, { Host: "evil.example" })).status).toBe(403);
    expect((await change(server, { Origin: "https://evil.example" })).status).toBe(403);
    const answer = await change(server, {}, "/libvirt/networks");
    expect(answer.status).toBe(200);
    expect(access.audited()).toMatchObject([
      { function: "/libvirt/domain/pause", request_id: answer.headers.get("X-Request-Id") },
    ]);
    const read = await access.token("read", { functions: ["/libvirt/networks"] });
    const refused = await change(server, { "X-API-Key": read }, "/libvirt/networks");
    expect([refused.status, refused.body.missing]).toEqual([403, "function:/libvirt/domain/pause"]);
    expect((await change(server)).status).toBe(401);
    const one = await access.token("one", { functions: ["/libvirt/domain/pause"] });
    expect((await change(server, { "X-API-Key": one }, "/")).status).toBe(500); // it is paused
  });
});

describe("tokens of the command line", () => {
  type Named = { name: string };
  const main = join(FUNCTIONS, "../runtime/cli/main.ts");
  const access = guarded(TEST);
  afterAll(access.remove);
  const run = (...args: string[]) => {
    const { exitCode, stdout, stderr } = Bun.spawnSync([process.execPath, main, "token", ...args], {
      env: { ...process.env, ...access.env },
    });
    return { exitCode, out: `${stdout}`, err: `${stderr}` };
  };

  test("create, list, use, revoke", { timeout: slow(30_000) }, async () => {
    const server = await startServer(access.env);
    try {
      const made = run("create", "ci", "--role", "read", "--expires", "1h");
      expect(made).toMatchObject({ exitCode: 0, out: expect.stringMatching(/^hsk_[\w-]{43}\n$/) });
      const headers = { "X-API-Key": made.out.trim() };
      expect((await server.get("/whoami", { headers })).body.data).toMatchObject({
        name: "ci",
        access: "read",
      });
      const [listed] = JSON.parse(run("list").out);
      expect(listed).toMatchObject({ name: "ci", role: "read", expired: false });
      expect(run("list").out).not.toContain(made.out.trim());
      expect(run("create", "ci", "--role", "read")).toMatchObject({
        exitCode: 1,
        err: expect.stringMatching(/already_exists/),
      });
      expect(run("revoke", "ci").exitCode).toBe(0);
      expect((await server.get("/whoami", { headers })).status).toBe(401);
      expect(run("revoke", "ci").exitCode).toBe(1);
    } finally {
      await server.stop();
    }
  });

  test.each<[string[], RegExp]>([
    [["create", "x"], /--role/],
    [["create", "x", "--role", "root"], /admin/],
    [["create", "x", "--role", "read", "--function", "/health"], /--role/],
    [["create", "x", "--role", "read", "--expires", "soon"], /expires: must be as 90d/],
    [["create", "x", "--role", "read", "--expires", "2020-01-01"], /later than now/],
    [["create", "x", "--role", "read", "--domain", "a", "--select", "tag:a"], /not both/],
    [["create", "x", "--role", "read", "--select", "name:web*"], /only tag: and host:/],
    [["create", "x", "--role", "read", "--select", "NOT tag:prod"], /without a tag/],
    [["create", "x", "--role", "read", "--select", "tag:("], /select|position/],
    [["create"], /name/],
    [["make"], /make/],
  ])("used wrongly: %j", (args, text) => {
    const { exitCode, err } = run(...args);
    expect([exitCode, err]).toEqual([2, expect.stringMatching(text)]);
  });

  test("with a query", async () => {
    const made = run("create", "tagged", "--role", "read", "--select", "tag:prod AND host:kvm*");
    expect(made.exitCode, made.err).toBe(0);
    const listed = JSON.parse(run("list").out).find(({ name }: Named) => name === "tagged");
    expect(listed).toMatchObject({ select: "tag:prod AND host:kvm*", domains: null });
    expect(run("revoke", "tagged").exitCode).toBe(0);
  });

  test("several at once lose nothing", { timeout: slow(30_000) }, async () => {
    const names = Array.from({ length: 8 }, (_, n) => `t${n}`);
    const made = names.map((name) =>
      Bun.spawn([process.execPath, main, "token", "create", name, "--role", "read"], {
        env: { ...process.env, ...access.env },
        stdio: ["ignore", "ignore", "ignore"],
      }),
    );
    for (const one of made) expect(await one.exited).toBe(0);
    const listed = JSON.parse(run("list").out).map(({ name }: { name: string }) => name);
    expect(listed.sort()).toEqual(names);
    chmodSync(access.tokens, 0o600);
  });
});
