/** Every function, with every kind of caller: what each is answered over HTTP. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ACCESS, type Access } from "../../../runtime/access/caller.ts";
import { revokeToken } from "../../../runtime/access/token-editor.ts";
import { methodsOf } from "../../../runtime/core/method.ts";
import type { HyperFunction } from "../../../runtime/function/define.ts";
import { isOfAll } from "../../../runtime/http/fleet.ts";
import { guarded, noticed } from "../../fixtures/access.ts";
import { until } from "../../fixtures/fake.ts";
import { allFunctions } from "../../fixtures/functions.ts";
import { startServer, type TestServer } from "../../server.ts";

// two hypervisors of no consequence: libvirt's test driver, in the memory of one virsh each
const access = guarded(
  'hosts.local.uri = "test:///default"',
  'hosts.other.uri = "test:///default"',
);
const loaded = await allFunctions();
const tokens: Record<string, string> = {};
let server: TestServer;

beforeAll(async () => {
  for (const role of ACCESS) tokens[role] = await access.token(role, { role });
  tokens.elsewhere = await access.token("elsewhere", { role: "admin", hosts: ["other"] });
  tokens.late = await access.token("late", { role: "admin", expires: "2020-01-01T00:00:00Z" });
  tokens.gone = await access.token("gone", { role: "admin" });
  server = await startServer(access.env);
  expect((await ask("/health", "GET", tokens.gone)).status).toBe(200);
  await revokeToken("gone", access.tokens); // the server runs
});
afterAll(async () => {
  await server.stop();
  access.remove();
});

async function ask(path: string, method: string, token?: string, query = "", input: object = {}) {
  const headers = new Headers(token ? { Authorization: `Bearer ${token}` } : {});
  const takesBytes = loaded.some(
    (one) => one.path === path && one.function?.spec.body === "stream",
  );
  const post = method !== "GET" && !takesBytes;
  if (post) headers.set("Content-Type", "application/json");
  const params = post ? query : `${new URLSearchParams(Object.entries(input))}&${query}`;
  const response = await fetch(`${server.url}${path}?${params}`, {
    method,
    headers,
    body: post ? JSON.stringify(input) : null,
  });
  const type = response.headers.get("Content-Type") ?? "";
  const json = type.startsWith("application/json");
  if (type.startsWith("text/event-stream")) {
    await response.body?.cancel(); // it has no end
    return { status: response.status, headers: response.headers, body: {} as never };
  }
  // biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever the answer holds
  const body: any = json ? await response.json() : { text: await response.text() };
  return { status: response.status, headers: response.headers, body };
}

const rank = (access: Access) => ACCESS.indexOf(access);

const isForAnybody = ({ function: one }: (typeof loaded)[number]) => one?.spec.anybody === true;

test("the page and its session, and nothing else, are for anybody", async () => {
  const paths = loaded.filter(isForAnybody).map(({ path }) => path);
  expect(paths).toEqual(["/ui", "/ui/script", "/ui/session", "/ui/sign-out", "/ui/style"]);
  for (const path of ["/", "/ui", "/ui/script", "/ui/style"])
    expect((await ask(path, "GET")).status).toBe(200);
  for (const path of ["/ui/session", "/ui/sign-out"]) {
    const { status, body } = await ask(
      path,
      "POST",
      undefined,
      "",
      path === "/ui/session" ? { token: "x" } : {},
    );
    expect([status, body.missing]).toEqual([403, "origin"]); // a program is no page of ours
  }
});

describe.each(loaded.filter((one) => !isForAnybody(one)))("$path", ({ path, function: found }) => {
  const { spec } = found as HyperFunction;
  const { examples = [{}] } = spec;
  const [method = "GET"] = methodsOf(spec);
  const call = (token?: string, query = "") => ask(path, method, token, query, examples[0]);

  test("no token: 401, and how to bring one", async () => {
    const { status, headers, body } = await call();
    expect([status, body.code]).toEqual([401, "unauthorized"]);
    expect(headers.get("WWW-Authenticate")).toBe('Bearer realm="hypersdk"');
    expect(headers.get("X-Request-Id")).toBe(body.request_id);
  });

  test.each(["late", "gone"])("a token that is %s: 401", async (name) => {
    const { status, headers, body } = await call(tokens[name]);
    expect([status, body.code]).toEqual([401, "unauthorized"]);
    expect(headers.get("WWW-Authenticate")).toContain('error="invalid_token"');
  });

  test.each(ACCESS)("a token for %s", async (role) => {
    const { status, body } = await call(tokens[role]);
    if (rank(role) >= rank(spec.access)) {
      expect([401, 403, 429], JSON.stringify(body)).not.toContain(status);
      return;
    }
    expect([status, body.code, body.missing]).toEqual([403, "forbidden", `access:${spec.access}`]);
    expect(body.error).toContain(`"${spec.access}"`);
  });

  test("a token for another hypervisor: 403, unless it is about none", async () => {
    const wrong = await call(tokens.elsewhere, "host=local");
    expect([wrong.status, wrong.body.missing]).toEqual([403, "host:local"]);
    const unsaid = await call(tokens.elsewhere);
    if (unsaid.body.missing === "host:*") return; // for those without limits alone
    if (!isOfAll(spec)) expect([unsaid.status, unsaid.body.missing]).toEqual([403, "host:local"]);
    else if (unsaid.status === 403)
      expect(unsaid.body.missing).toBe("host:local"); // what is submitted is about one
    else expect([401, 429], JSON.stringify(unsaid.body)).not.toContain(unsaid.status);
    if (spec.access === "read") {
      const both = await call(tokens.elsewhere, "host=other,local");
      expect([both.status, both.body.missing]).toEqual([403, "host:local"]);
    }
    const right = await call(tokens.elsewhere, "host=other");
    expect([401, 403, 429], JSON.stringify(right.body)).not.toContain(right.status);
  });
});

test("X-API-Key is a token as well", async () => {
  const get = (key: string) => fetch(`${server.url}/health`, { headers: { "X-API-Key": key } });
  expect((await get(`${tokens.read}`)).status).toBe(200);
  expect((await get("hsk_wrong")).status).toBe(401);
  const scheme = { Authorization: "Basic YTpi", "X-API-Key": `${tokens.read}` };
  expect((await fetch(`${server.url}/health`, { headers: scheme })).status).toBe(200);
});

test("a token in the query is none, and what is no function needs one too", async () => {
  expect((await fetch(`${server.url}/health?token=${tokens.read}`)).status).toBe(401);
  expect((await fetch(`${server.url}/nothing`)).status).toBe(401);
  expect((await ask("/nothing", "GET", tokens.read)).status).toBe(404);
});

test("another method is refused as before, by those who may call", async () => {
  expect((await ask("/libvirt/clone", "GET", tokens.admin)).status).toBe(405);
  expect((await ask("/libvirt/clone", "GET", tokens.read)).status).toBe(403);
  expect((await ask("/libvirt/clone", "GET")).status).toBe(401);
});

test("?host=* asks the token's hypervisors", async () => {
  await ask("/hosts/remove", "POST", tokens.admin, "", { name: "esx1" }); // the walk has added it
  const { body } = await ask("/libvirt/networks", "GET", tokens.elsewhere, "host=*");
  expect(body.data.hosts.map(({ host }: { host: string }) => host)).toEqual(["other"]);
  const { body: all } = await ask("/libvirt/networks", "GET", tokens.read, "host=*");
  expect(all.data.total).toBe(2);
  const { body: hosts } = await ask("/hosts", "GET", tokens.elsewhere);
  expect(hosts.data.hosts).toMatchObject([{ host: "other" }]);
});

test("a batch reaches no hypervisor that is not the token's", async () => {
  const { status, body } = await ask(
    "/libvirt/batch/pause",
    "POST",
    tokens.elsewhere,
    "host=other",
    {
      domains: ["test", "local/test"],
    },
  );
  expect([status, body.missing]).toEqual([403, "host:local"]);
});

test("GET /whoami", async () => {
  const { body } = await ask("/whoami", "GET", tokens.elsewhere);
  const paths = loaded.map(({ path }) => path);
  expect(body.data).toEqual({
    ...{ kind: "token", name: "elsewhere", access: "admin", hosts: ["other"] },
    ...{ functions: paths, domains: null, select: null, expires: null, session: false },
  });
  const { functions } = (await ask("/whoami", "GET", tokens.read)).body.data;
  const reads = loaded.filter(({ function: one }) => one?.spec.access === "read");
  expect(functions).toEqual(reads.map(({ path }) => path));
});

describe("a token that lists functions", () => {
  test("has these, whatever they do, and no others", async () => {
    const one = await access.token("one", {
      functions: ["/libvirt/domain/*", "/libvirt/networks"],
    });
    expect((await ask("/libvirt/networks", "GET", one)).status).toBe(200);
    expect((await ask("/libvirt/domain/pause", "POST", one, "", { name: "test" })).status).toBe(
      200,
    );
    expect((await ask("/libvirt/domain/resume", "POST", one, "", { name: "test" })).status).toBe(
      200,
    );
    for (const path of ["/libvirt/domains", "/libvirt/domain", "/libvirt/network", "/health"]) {
      const { status, body } = await ask(path, "GET", one, "", { name: "test" });
      expect([status, body.missing]).toEqual([403, `function:${path}`]);
    }
  });
});

describe("a token that is limited to some domains", () => {
  let token: string;
  beforeAll(async () => {
    token = await access.token("tests", { role: "admin", domains: ["te?t", "web-*"] });
  });
  const get = (path: string, input = {}) => ask(path, "GET", token, "host=other", input);
  const post = (path: string, input: object) => ask(path, "POST", token, "host=other", input);

  test("reaches these, and no other", async () => {
    expect((await get("/libvirt/domain", { name: "test" })).status).toBe(200);
    const { status, body } = await get("/libvirt/domain", { name: "db-1" });
    expect([status, body.missing]).toEqual([403, "domain:db-1"]);
    expect((await get("/libvirt/domain", { name: "web-1" })).status).toBe(404);
  });

  test("not by a UUID either, however it is written", async () => {
    const { data } = (
      await ask("/libvirt/domain", "GET", tokens.read, "host=other", { name: "test" })
    ).body;
    const { uuid } = data as { uuid: string };
    for (const name of [uuid, uuid.replaceAll("-", ""), uuid.toUpperCase(), ` ${uuid}`]) {
      const { status, body } = await get("/libvirt/domain", { name });
      expect([status, body.missing]).toEqual([403, `domain:${name}`]);
    }
  });

  test("a batch of which one is another's is not begun", async () => {
    const { status, body } = await post("/libvirt/batch/pause", { domains: ["test", "other/db"] });
    expect([status, body.missing]).toEqual([403, "domain:db"]);
    expect((await get("/libvirt/stats", { name: "test" })).body.data.state).toBe("running");
  });

  test("sees these alone in lists", async () => {
    const none = await access.token("none", { role: "read", domains: ["nothing-*"] });
    const seen = await get("/libvirt/domains");
    expect(seen.body).toMatchObject({ data: { total: 1, domains: [{ name: "test" }] } });
    for (const path of ["/libvirt/domains", "/libvirt/stats/all", "/libvirt/template/list"]) {
      const { body } = await ask(path, "GET", none, "host=other");
      const { total, ...lists } = body.data;
      expect([total, Object.values(lists)]).toEqual([0, [[]]]);
      expect(body.message).toMatch(/^0 /);
    }
    const { body } = await ask("/libvirt/domains", "GET", none, "host=*");
    expect(body.data.hosts[0].data).toEqual({ domains: [], total: 0 });
  });

  test("makes none of another name", async () => {
    const clone = await post("/libvirt/clone", { source: "test", target: "db-2" });
    expect([clone.status, clone.body.missing]).toEqual([403, "domain:db-2"]);
    const many = await post("/libvirt/clone/multiple", {
      source: "test",
      name_prefix: "db",
      count: 2,
    });
    expect(many.body.results).toMatchObject([
      { missing: "domain:db-1" },
      { missing: "domain:db-2" },
    ]);
  });

  test("may not call what is about other things", async () => {
    for (const [path, input] of [
      ["/libvirt/network/delete", { name: "default" }],
      ["/libvirt/volume/delete", { pool: "default-pool", volume: "x" }],
    ] as const) {
      const { status, body } = await post(path, input);
      expect([status, body.missing]).toEqual([403, `function:${path}`]);
    }
    for (const path of ["/libvirt/networks", "/libvirt/pools", "/libvirt/volumes"]) {
      expect(
        (await get(path, path.endsWith("volumes") ? { pool: "default-pool" } : {})).status,
      ).toBe(403);
    }
    for (const path of ["/health", "/whoami", "/docs", "/openapi.json"]) {
      expect((await get(path)).status).toBe(200);
    }
  });
});

describe("the tokens' file", () => {
  test("others may read it: no token counts, and nobody comes in without", async () => {
    chmodSync(access.tokens, 0o644);
    await noticed();
    expect((await ask("/health", "GET", tokens.read)).status).toBe(401);
    expect((await ask("/health", "GET")).status).toBe(401);
    await until(() => server.log().includes("open to other users"), "the log says why");
    chmodSync(access.tokens, 0o600);
    await noticed();
    expect((await ask("/health", "GET", tokens.read)).status).toBe(200);
  });

  test("the same for one that is no JSON", async () => {
    const text = readFileSync(access.tokens, "utf8");
    writeFileSync(access.tokens, "{");
    await noticed();
    expect((await ask("/health", "GET", tokens.read)).status).toBe(401);
    expect((await ask("/health", "GET")).status).toBe(401);
    writeFileSync(access.tokens, text);
    await noticed();
    expect((await ask("/health", "GET", tokens.read)).status).toBe(200);
  });
});
