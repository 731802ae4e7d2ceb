/** POST /hosts/add, remove and test: over HTTP, with libvirt's own test hypervisor, and after a restart. */
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { bearing, type Guarded, guarded } from "../fixtures/access.ts";
import { slow } from "../fixtures/slowness.ts";
import { folderOf, me } from "../fixtures/store.ts";
import { startServer, type TestServer } from "../server.ts";

const state = folderOf(me());
const file = join(state, "hypersdk", "hosts.json");
const access = guarded(
  "access.local = true",
  'hosts.local.uri = "test:///default"',
  'hosts.fixed.uri = "test:///default"',
);
const start = () => startServer({ ...access.env, XDG_STATE_HOME: state });

let server: TestServer;
beforeAll(async () => {
  server = await start();
}, slow(60_000));
afterAll(async () => {
  await server.stop();
  access.remove();
  rmSync(state, { recursive: true });
});

const post = (verb: string, body: object) => server.post(`/hosts/${verb}`, body);
const aliases = async () =>
  (await server.get("/hosts")).body.data.hosts.map(
    ({ host, added }: { host: string; added: boolean }) => (added ? `${host} (added)` : host),
  );
const TEST = "test:///default";
const AWAY = "qemu+ssh://root@127.0.0.1:1/system";

describe("add and remove", () => {
  test("what is added is there at once, after a restart, and gone once it is removed", async () => {
    const added = await post("add", { name: "new", uri: TEST });
    expect(added.status, JSON.stringify(added.body)).toBe(201);
    expect(added.body.data).toMatchObject({ host: "new", uri: TEST, reachable: true });
    expect(await aliases()).toEqual(["local", "fixed", "new (added)"]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    await server.post("/libvirt/domain/destroy?host=new", { name: "test" });
    const { body } = await server.get("/vms/list?q=state:off");
    expect(body.vms).toMatchObject([{ path: "new/test" }]);

    await server.stop();
    server = await start();
    expect(await aliases()).toEqual(["local", "fixed", "new (added)"]);

    expect((await post("remove", { name: "new" })).status).toBe(200);
    expect(await aliases()).toEqual(["local", "fixed"]);
    expect((await server.get("/libvirt/domains?host=new")).body.code).toBe("invalid_input");
    expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ hosts: [] });
    // another one by that name has nothing of the first
    await post("add", { name: "new", uri: TEST });
    expect((await server.get("/vms/list?host=new")).body.vms[0].power_state).toBe("running");
    await post("remove", { name: "new" });
  });

  test("one that does not answer is added by check: false alone", async () => {
    expect((await post("add", { name: "away", uri: AWAY })).body).toMatchObject({
      ...{ code: "unreachable", error: expect.stringMatching(/^uri: .*check: false/) },
    });
    expect(await aliases()).toEqual(["local", "fixed"]);
    const added = await post("add", { name: "away", uri: AWAY, check: false });
    expect(added.body.data).toMatchObject({ reachable: null });
    expect((await server.get("/vms/list")).body.unreachable).toMatchObject([{ host: "away" }]);
    await post("remove", { name: "away" });
  });

  test("of two servers that add and remove at once neither loses what the other has done", async () => {
    const other = await start();
    const names = Array.from({ length: 40 }, (_, i) => `many-${i}`);
    const turns = (verb: string, body: object) =>
      Promise.all(
        names.map((name, i) => (i % 2 ? other : server).post(`/hosts/${verb}`, { name, ...body })),
      );
    const kept = () => JSON.parse(readFileSync(file, "utf8")).hosts;
    for (const { status } of await turns("add", { uri: TEST, check: false }))
      expect(status).toBe(201);
    expect(
      kept()
        .map(({ alias }: { alias: string }) => alias)
        .sort(),
    ).toEqual(names.toSorted());
    for (const { status } of await turns("remove", {})) expect(status).toBe(200);
    expect(kept()).toEqual([]);
    await expect.poll(aliases, { timeout: slow(10_000) }).toEqual(["local", "fixed"]); // it looks at times
    await other.stop();
  });

  test("a file that is broken is said, and the server serves", async () => {
    writeFileSync(file, "{");
    const { body } = await post("add", { name: "new", uri: TEST });
    expect(body).toMatchObject({
      ...{ code: "function_unavailable", error: expect.stringContaining("hosts.json") },
    });
    expect(readFileSync(file, "utf8")).toBe("{");
    expect(await aliases()).toEqual(["local", "fixed"]);
    rmSync(file);
  });

  test("those of hypersdk.toml are neither replaced nor removed; names are used once", async () => {
    for (const name of ["local", "fixed"]) {
      expect((await post("add", { name, uri: TEST })).body.code).toBe("already_exists");
      expect((await post("remove", { name })).body).toMatchObject({
        ...{ code: "unsupported", error: expect.stringContaining("hypersdk.toml") },
      });
    }
    expect((await post("remove", { name: "none" })).body.code).toBe("invalid_input");
    const both = await Promise.all([1, 2].map(() => post("add", { name: "once", uri: TEST })));
    expect(both.map(({ status }) => status).sort()).toEqual([201, 500]);
    await post("remove", { name: "once" });
  });
});

test(
  "one to which a job will move a domain is not removed, but by force",
  async () => {
    for (const name of ["new", "newer"]) await post("add", { name, uri: TEST });
    const { body } = await server.post("/jobs/submit", {
      ...{ function: "/libvirt/domain/migrate", host: "fixed", run_at: "2099-01-01T00:00:00Z" },
      input: { name: "test", to: "new" },
    });
    expect(body, JSON.stringify(body)).toMatchObject({ accepted: 1 });
    expect((await post("remove", { name: "new" })).body).toMatchObject({
      ...{ code: "in_use", error: expect.stringContaining("1 job of new") },
    });
    expect((await post("remove", { name: "newer" })).status).toBe(200);
    expect((await post("remove", { name: "new", force: true })).status).toBe(200);
    await server.post("/jobs/cancel", { job_ids: body.job_ids });
  },
  slow(60_000),
);

test("test tells what the login can, and keeps nothing", async () => {
  const { body } = await post("test", { uri: TEST });
  expect(body.data, JSON.stringify(body)).toMatchObject({ uri: TEST, state: "up", error: null });
  expect(body.data.login).toMatchObject({ user: expect.any(String), cannot: expect.any(Array) });
  const away = await post("test", { uri: AWAY });
  expect(away.body).toMatchObject({ data: { state: "down", login: null, latency_ms: null } });
  expect(await aliases()).toEqual(["local", "fixed"]);
});

test.each([
  ["kvm3/system", "must be a libvirt URI"],
  ["qemu+ssh:///system", "names no host"],
  ["qemu+ssh://root:secret@kvm3/system", "must hold no password"],
  ["qemu+ssh://kvm3/system?no_verify=1", "host keys are always verified"],
  ["qemu+ssh://kvm3/system?command=/bin/sh", "unknown parameter command"],
  ["qemu+ext:///system?command=/bin/sh", "runs a program here"],
  ["qemu+unix:///system?command=/bin/sh", "parameter command belongs into hypersdk.toml"],
  ["qemu+tls://kvm3/system?no_verify=1", "parameter no_verify belongs into hypersdk.toml"],
  ["esx://root@esx/?authfile=/etc/shadow", "parameter authfile belongs into hypersdk.toml"],
  ["test:///etc/passwd", "only test:///default"],
  ["qemu:///sys tem", "without spaces"],
])("uri %s is refused", async (uri, text) => {
  for (const [verb, more] of [
    ["test", {}],
    ["add", { name: "bad", check: false }],
  ] as const)
    expect((await post(verb, { uri, ...more })).body).toMatchObject({
      ...{ code: "invalid_input", error: expect.stringContaining(text) },
    });
});

test.each(["", "-x", "a b", "a/b", "../x", "x".repeat(65)])("name %j is refused", async (name) => {
  expect((await post("add", { name, uri: TEST })).body).toMatchObject({
    ...{ code: "invalid_input", error: expect.stringMatching(/^name: /) },
  });
});

test("only administrators without limits may", async () => {
  const operator = await access.token("operator", { role: "operate" });
  const limited = await access.token("limited", { role: "admin", hosts: ["local"] });
  for (const token of [operator, limited]) {
    const headers = { ...bearing(token).headers, "Content-Type": "application/json" };
    const body = JSON.stringify({ name: "mine", uri: TEST });
    for (const verb of ["add", "remove", "test"])
      expect(
        (await server.get(`/hosts/${verb}`, { method: "POST", headers, body })).status,
      ).not.toBe(201);
    const answer = await server.get("/hosts/add", { method: "POST", headers, body });
    expect(answer.body.code).toBe("forbidden");
  }
  expect(await aliases()).toEqual(["local", "fixed"]);
});

describe("vcenter/servers", () => {
  const esx = { name: "esx1", hostname: "127.0.0.1:1", username: "root", password: 's"e=c;r#t' };
  const folder = join(state, "hypersdk", "auth");
  const files = () =>
    existsSync(folder) ? readdirSync(folder).map((one) => join(folder, one)) : [];

  test("add writes the password where this user alone reads it, and remove removes it", async () => {
    const answer = await server.post("/vcenter/servers/add", {
      ...esx,
      insecure: true,
      check: false,
    });
    expect(answer.status, JSON.stringify(answer.body)).toBe(201);
    expect(answer.body.data).toEqual({ name: "esx1", uri: "esx://root@127.0.0.1:1/" });
    const [conf = "", ...more] = files();
    expect(more).toEqual([]);
    expect(statSync(conf).mode & 0o777).toBe(0o600);
    expect(readFileSync(conf, "utf8")).toContain('\npassword=s"e=c;r#t\n');
    const { body } = await server.get("/vcenter/servers/list");
    expect(body.data.servers, JSON.stringify(body)).toMatchObject([
      { name: "esx1", hostname: "127.0.0.1", reachable: false, vm_count: null },
    ]);
    const shown = JSON.stringify([body, (await server.get("/hosts")).body, access.audited()]);
    expect(shown).not.toContain('s\\"e=c');
    expect(server.log()).not.toContain('s"e=c');
    await post("remove", { name: "esx1" });
    expect(files()).toEqual([]);
  });

  test("of two by one name at once, the one that is added keeps its own password", async () => {
    const both = await Promise.all(
      [1, 2].map((i) =>
        server.post("/vcenter/servers/add", { ...esx, password: `secret${i}`, check: false }),
      ),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([201, 500]);
    const winner = both.findIndex(({ status }) => status === 201) + 1;
    expect(files().map((one) => readFileSync(one, "utf8"))).toEqual([
      expect.stringContaining(`password=secret${winner}\n`),
    ]);
    await post("remove", { name: "esx1" });
    expect(files()).toEqual([]);
  });

  test("one that does not answer leaves nothing", async () => {
    const { body } = await server.post("/vcenter/servers/add", esx);
    expect(body).toMatchObject({ code: "unreachable" });
    expect(files()).toEqual([]);
    expect(await aliases()).toEqual(["local", "fixed"]);
  });

  test.each([
    ["password", "a\nusername=x"],
    ["username", "a:b"],
    ["hostname", "a/b"],
    ["hostname", "a]\nx"],
    ["datacenter", "a?b"],
  ])("%s %j is refused", async (field, value) => {
    const { body } = await server.post("/vcenter/servers/add", { ...esx, [field]: value });
    expect(body).toMatchObject({
      code: "invalid_input",
      error: expect.stringContaining(`${field}:`),
    });
  });
});

describe("on a database", () => {
  const others: { server: TestServer; access: Guarded; state: string }[] = [];
  afterAll(async () => {
    for (const one of others) {
      await one.server.stop();
      one.access.remove();
      rmSync(one.state, { recursive: true });
    }
  });

  test(
    "what one server adds, another one has, until it is removed anywhere",
    async () => {
      await server.post("/tags/create", { name: "any" }); // begins the private PostgreSQL
      const socket = encodeURIComponent(join(state, "hypersdk", "postgres"));
      const url = `postgres://hypersdk@localhost/postgres?host=${socket}&port=5432`;
      for (let i = 0; i < 2; i++) {
        const own = guarded(
          "access.local = true",
          `hosts.local.uri = "${TEST}"`,
          `database.url = "${url}"`,
        );
        const folder = folderOf(me());
        const one = await startServer({ ...own.env, XDG_STATE_HOME: folder });
        others.push({ server: one, access: own, state: folder });
      }
      const [first, second] = others.map((one) => one.server) as [TestServer, TestServer];
      const of = async (one: TestServer) =>
        (await one.get("/hosts")).body.data.hosts.map(({ host }: { host: string }) => host);
      const has = async (one: TestServer, list: string[]) => {
        for (const end = Date.now() + slow(10_000); Date.now() < end; await sleep(200))
          if (`${await of(one)}` === `${list}`) return;
        expect(await of(one)).toEqual(list);
      };
      const added = await first.post("/hosts/add", { name: "shared", uri: TEST });
      expect(added.status, JSON.stringify(added.body)).toBe(201);
      await has(first, ["local", "shared"]);
      await has(second, ["local", "shared"]);
      expect(existsSync(join(`${others[0]?.state}`, "hypersdk", "hosts.json"))).toBe(false);
      expect((await second.post("/hosts/add", { name: "shared", uri: TEST })).body.code).toBe(
        "already_exists",
      );
      const esx = { name: "esx1", hostname: "esx", username: "root", password: "x" };
      expect((await first.post("/vcenter/servers/add", esx)).body.code).toBe("unsupported");
      expect((await second.post("/hosts/remove", { name: "shared" })).status).toBe(200);
      await has(first, ["local"]);
    },
    slow(120_000),
  );
});
