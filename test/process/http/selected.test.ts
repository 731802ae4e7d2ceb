/** A token whose domains a query selects, at every function: by name, UUID and ID, in batches, jobs, schedules and streams. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { domainFields, whyNot } from "../../../runtime/access/domain-scope.ts";
import { methodsOf } from "../../../runtime/core/method.ts";
import type { HyperFunction } from "../../../runtime/function/define.ts";
import { bearing, guarded } from "../../fixtures/access.ts";
import { until } from "../../fixtures/fake.ts";
import { allFunctions } from "../../fixtures/functions.ts";
import { slow } from "../../fixtures/slowness.ts";
import { refusal } from "../../fixtures/socket.ts";
import { type Answer, startServer, type TestServer } from "../../server.ts";

vi.setConfig({ testTimeout: slow(60_000), hookTimeout: slow(60_000) });

const URI = "urn:hypersdk:tags:1";
const NODE = `<cpu><mhz>2000</mhz><model>x</model><active>4</active><nodes>1</nodes><sockets>1</sockets>
  <cores>4</cores><threads>1</threads></cpu><memory>8000000</memory>`;

function domain(name: string, ...tags: string[]): string {
  const metadata = `<h:tags xmlns:h="${URI}">${tags.map((tag) => `<h:tag>${tag}</h:tag>`).join("")}</h:tags>`;
  return `<domain type='test'><name>${name}</name><memory>65536</memory><os><type>hvm</type></os>
    ${tags.length > 0 ? `<metadata>${metadata}</metadata>` : ""}</domain>`;
}

/** libvirt's test driver with these domains. */
function driver(alias: string, ...domains: string[]): string {
  const file = join(access.folder, `${alias}.xml`);
  writeFileSync(file, `<node>${NODE}${domains.join("")}</node>`, { mode: 0o644 });
  return `hosts.${alias}.uri = "test://${file}"`;
}

const access = guarded();
writeFileSync(
  access.env.HYPERSDK_CONFIG,
  [
    `access.tokens = "${access.tokens}"`,
    `audit.file = "${join(access.folder, "audit.jsonl")}"`,
    'default_host = "local"',
    driver("local", domain("web", "prod", "blue"), domain("foreign", "dev"), domain("7", "prod")),
    driver("other", domain("web"), domain("api", "prod")),
    'hosts.away.uri = "qemu+ssh://root@127.0.0.1:1/system"',
  ].join("\n"),
);
const loaded = await allFunctions();
const tokens: Record<string, string> = {};
let server: TestServer;

beforeAll(async () => {
  tokens.admin = await access.token("root", { role: "admin" });
  tokens.prod = await access.token("prod", { role: "admin", select: "tag:prod" });
  tokens.local = await access.token("local", { role: "admin", select: "tag:prod AND host:loc*" });
  tokens.green = await access.token("green", { role: "admin", select: "tag:prod NOT tag:blue" });
  server = await startServer(access.env);
});
afterAll(async () => {
  await server.stop();
  access.remove();
});

/** A call with the token of this name. */
async function ask(
  who: string,
  path: string,
  input: object = {},
  query = "host=local",
): Promise<Answer> {
  const spec = loaded.find((one) => one.path === path)?.function?.spec;
  const method = spec ? (methodsOf(spec).at(-1) ?? "GET") : "GET"; // the one with a body, where there are two
  const hasBody = method !== "GET" && spec?.body !== "stream";
  const params = new URLSearchParams(query);
  const entries = hasBody ? [] : Object.entries(input);
  for (const [key, value] of entries)
    for (const one of [value].flat()) params.append(key, `${one}`);
  const response = await fetch(`${server.url}${path}?${params}`, {
    method,
    headers: {
      ...bearing(`${tokens[who]}`).headers,
      ...(hasBody && { "Content-Type": "application/json" }),
    },
    body: hasBody ? JSON.stringify(input) : null,
  });
  const isJson = response.headers.get("Content-Type")?.startsWith("application/json");
  if (response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    await response.body?.cancel();
    return { status: response.status, headers: response.headers, body: {} };
  }
  const body = isJson ? await response.json() : { text: await response.text() };
  return { status: response.status, headers: response.headers, body };
}

const retag = (verb: "assign" | "remove", name: string, tag: string) =>
  ask("admin", `/tags/${verb}`, { domains: [name], tags: [tag] });
const isAllowed = async (who: string, name: string, host = "local") =>
  (await ask(who, "/libvirt/domain", { name }, `host=${host}`)).status === 200;
function namesIn({ body }: Answer): string[] {
  expect(body, JSON.stringify(body)).toHaveProperty("data");
  return body.data.domains.map(({ name }: { name: string }) => name).toSorted();
}

const isFilter = ({ spec }: HyperFunction) => spec.scope === "fleet" && spec.stream === "sse";
const naming = loaded.flatMap(({ path, function: one }) =>
  one && domainFields(one.spec).fields.length > 0 && !isFilter(one) && one.spec.scope !== "server"
    ? [{ path, spec: one.spec }]
    : [],
);

describe.each(naming)("$path", ({ path, spec }) => {
  const [example = {}] = spec.examples ?? [];
  const { fields } = domainFields(spec);
  /** The example with another domain in the place of its own. */
  const about = (name: string) => {
    const { select: _, ...rest } = example as Record<string, unknown>;
    const [field = ""] = fields;
    const isList = ["domains", "vms"].includes(field) || Array.isArray(rest[field]);
    return { ...rest, [field]: isList ? [name] : name };
  };

  test.each([
    ["of another tag", "foreign"],
    ["that does not exist", "nothing"],
    ["of this ID", "1"],
    ["of this UUID", "3f6a4a5e-4d0e-4b8a-9a5a-0d6c2f6f1a01"],
  ])("a domain %s: 403", async (_, name) => {
    const { status, body } = await ask("prod", path, about(name));
    expect([status, body.code], JSON.stringify(body)).toEqual([403, "forbidden"]);
    if (!body.missing.startsWith("function:")) expect(body.missing).toBe(`domain:${name}`);
    expect(body.error).toContain("tag:prod");
  });

  test("one of another hypervisor, where that name has no tag: 403", async () => {
    expect((await ask("prod", path, about("web"), "host=other")).status).toBe(403);
    const hosted = await ask("prod", path, about("other/web"));
    expect([400, 403], JSON.stringify(hosted.body)).toContain(hosted.status); // most take no path
  });

  test("among its own: 403 as a whole", async () => {
    if (fields[0] !== "domains") return;
    const { status } = await ask("prod", path, { ...about("web"), domains: ["web", "foreign"] });
    expect(status).toBe(403);
  });

  test("by a job too", async () => {
    if (spec.access === "read") return;
    const job = { function: path, input: about("foreign") };
    const { status, body } = await ask("prod", "/jobs/submit", job, "");
    expect([status, body.code], JSON.stringify(body)).toEqual([403, "forbidden"]);
  });
});

describe("of the rest", () => {
  const rest = loaded.flatMap(({ path, function: one }) =>
    one && !one.spec.anybody && !naming.some((other) => other.path === path)
      ? [{ path, spec: one.spec }]
      : [],
  );
  test.each(rest)("$path is refused, or tells of no other domain", async ({ path, spec }) => {
    const [example = {}] = spec.examples ?? [];
    const { status, body } = await ask("prod", path, example, "");
    const caller = { kind: "token", domains: [], select: "tag:prod" } as never;
    if (whyNot(caller, spec) !== undefined)
      expect([status, body.missing]).toEqual([403, `function:${path}`]);
    // the descriptions of the API have words of their own
    if (!/docs|openapi/.test(path)) expect(JSON.stringify(body)).not.toMatch(/foreign|other\/web/);
  });

  test("those that change tags, or domains that they do not name, are refused outright", async () => {
    const cases = {
      "/tags/assign": { domains: ["web"], tags: ["dev"] },
      "/tags/remove": { select: "tag:prod", tags: ["prod"] },
      "/tags/create": { name: "dev" },
      "/hosts/drain": { host: "local", to: ["other"] },
      "/migration/wizard": {},
      "/alert-rules/list": {},
      "/collections/list": {},
    };
    for (const [path, input] of Object.entries(cases))
      expect([path, (await ask("prod", path, input)).status]).toEqual([path, 403]);
    const { functions, select, domains } = (await ask("prod", "/whoami", {}, "")).body.data;
    expect([select, domains]).toEqual(["tag:prod", []]);
    expect(functions).toContain("/libvirt/domain/pause");
    for (const path of ["/tags/assign", "/tags/remove", "/hosts/drain", "/libvirt/networks"])
      expect(functions).not.toContain(path);
  });

  test("it makes no domain, and gives none another name", async () => {
    const cases = {
      "/libvirt/clone": { source: "web", target: "web-2" },
      "/libvirt/domain/rename": { name: "web", new_name: "web-2" },
      "/libvirt/domain/create": { name: "web-2", memory: 64 },
    };
    for (const [path, input] of Object.entries(cases)) {
      const { status, body } = await ask("prod", path, input);
      expect([path, status], JSON.stringify(body)).toEqual([path, 403]);
    }
    const many = { source: "web", name_prefix: "web", count: 1 };
    const { body } = await ask("prod", "/libvirt/clone/multiple", many);
    expect(body.results).toMatchObject([{ success: false, missing: "domain:web-1" }]);
  });
});

test("it does to its own domains what its role may, on each hypervisor its own", async () => {
  expect(await isAllowed("prod", "web")).toBe(true);
  expect(await isAllowed("prod", "web", "other")).toBe(false);
  expect(await isAllowed("prod", "api", "other")).toBe(true);
  expect(await isAllowed("prod", "7")).toBe(true); // its name, whatever has the ID 7
  expect(await isAllowed("local", "api", "other")).toBe(false);
  expect(await isAllowed("green", "web")).toBe(false);
  expect(await isAllowed("green", "7")).toBe(true);
  for (const path of ["/libvirt/domain/pause", "/libvirt/domain/resume"])
    expect((await ask("prod", path, { name: "web" })).status).toBe(200);
  expect((await ask("prod", "/vms/info", { vm_path: "other/api" }, "")).status).toBe(200);
  expect((await ask("prod", "/vms/info", { vm_path: "other/web" }, "")).status).toBe(403);
  const batch = await ask("prod", "/libvirt/batch/pause", { domains: ["web", "other/api"] });
  expect(batch.body).toMatchObject({ successful: 2 });
  const back = await ask("prod", "/libvirt/batch/resume", { select: "host:*" });
  expect(back.body.selected.domains.toSorted()).toEqual(["local/7", "local/web", "other/api"]);
  expect(back.body.selected.unreachable).toMatchObject([{ host: "away" }]);
});

test("a read of several hypervisors is judged on each", async () => {
  const { status, body } = await ask(
    "prod",
    "/libvirt/domain",
    { name: "web" },
    "host=local,other",
  );
  expect(status).toBe(200);
  expect(body.data.hosts).toMatchObject([
    { host: "local", status: "success" },
    { host: "other", status: "error", code: "forbidden" },
  ]);
});

test("lists have its own domains", async () => {
  expect(namesIn(await ask("prod", "/libvirt/domains"))).toEqual(["7", "web"]);
  expect(namesIn(await ask("prod", "/libvirt/domains", {}, "host=other"))).toEqual(["api"]);
  expect(namesIn(await ask("prod", "/libvirt/stats/all"))).toEqual(["7", "web"]);
  expect(namesIn(await ask("local", "/libvirt/domains", {}, "host=other"))).toEqual([]);
  const { body } = await ask("prod", "/libvirt/domains", {}, "host=local,other,away");
  expect(body.data.hosts.map(({ data }: { data?: { total: number } }) => data?.total)).toEqual([
    2,
    1,
    undefined,
  ]);
  const vms = (await ask("prod", "/vms/list", {}, "")).body;
  expect(vms.vms.map(({ path }: { path: string }) => path).toSorted()).toEqual([
    "local/7",
    "local/web",
    "other/api",
  ]);
  expect(vms.total).toBe(3);
  const tags = (await ask("prod", "/tags/list", {}, "")).body.data.tags;
  expect(tags).toMatchObject([
    { name: "blue", vm_count: 1 },
    { name: "prod", vm_count: 3 },
  ]);
});

test("where its domains cannot be known, nothing is done", async () => {
  const { status, body } = await ask("prod", "/libvirt/domain/pause", { name: "web" }, "host=away");
  expect([status, body.code]).toEqual([503, "unreachable"]);
  expect(body.error).toMatch(/^which domains of away token "prod" may touch cannot be read: /);
  const batch = await ask("prod", "/libvirt/batch/pause", { domains: ["web", "away/web"] });
  expect(batch.status).toBe(503);
});

const consoleOf = (name: string, host = "local") => `/console/serial?name=${name}&host=${host}`;

test("a console is one of its own domains, also with a ticket", async () => {
  const { headers } = bearing(`${tokens.prod}`);
  for (const path of [consoleOf("foreign"), consoleOf("web", "other"), consoleOf("nothing")])
    expect([path, (await refusal(server.url, path, headers)).status]).toEqual([path, 403]);
  // the test driver has no console, which is asked for after the right to it
  expect((await refusal(server.url, consoleOf("web"), headers)).status).not.toBe(403);
});

describe("a tag that comes or goes", () => {
  beforeEach(async () => {
    await retag("assign", "web", "prod");
    await retag("remove", "foreign", "prod");
  });

  test("counts with the next call", async () => {
    await retag("remove", "web", "prod");
    expect(await isAllowed("prod", "web")).toBe(false);
    await retag("assign", "foreign", "prod");
    expect(await isAllowed("prod", "foreign")).toBe(true);
    expect(namesIn(await ask("prod", "/libvirt/domains"))).toEqual(["7", "foreign"]);
  });

  test("counts when a ticket is used", async () => {
    const input = { name: "web", kind: "serial" };
    const { body } = await ask("prod", "/console/ticket", input);
    const path = `${consoleOf("web")}&ticket=${body.data.ticket}`;
    await retag("remove", "web", "prod");
    const refused = await refusal(server.url, path);
    expect([refused.status, refused.body.missing]).toEqual([403, "domain:web"]);
  });

  test("is looked at again when a job begins", async () => {
    const run_at = new Date(Date.now() + 2500).toISOString();
    const pause = { function: "/libvirt/domain/pause", input: { name: "web" }, run_at };
    const { body } = await ask("prod", "/jobs/submit", pause, "");
    expect(body, JSON.stringify(body)).toMatchObject({ accepted: 1 });
    await retag("remove", "web", "prod");
    const [id] = body.job_ids;
    for (let i = 0; i < 300; i++) {
      const { data } = (await ask("prod", "/job", { id }, "")).body;
      if (data.ended_at !== null) {
        expect(data).toMatchObject({ state: "failed", error: { missing: "domain:web" } });
        return;
      }
      await sleep(100);
    }
    throw new Error("the job has not ended");
  });

  test("and when a schedule's time comes", async () => {
    const job_template = { function: "/libvirt/domain/pause", input: { name: "web" } };
    const schedule = { name: "s", cron_expr: "0 0 1 1 *", job_template };
    const foreign = { ...job_template, input: { name: "foreign" } };
    const refused = { ...schedule, job_template: foreign };
    expect((await ask("prod", "/schedules/create", refused, "")).status).toBe(403);
    expect((await ask("prod", "/schedules/create", schedule, "")).status).toBe(201);
    await retag("remove", "web", "prod");
    const { status, body } = await ask("prod", "/schedules/trigger", { name: "s" }, "");
    expect([status, body.missing]).toEqual([403, "domain:web"]);
  });

  test("ends a stream, which then has the domains of the next look", async () => {
    const listen = async () => {
      const response = await fetch(
        `${server.url}/libvirt/domains/watch?host=local`,
        bearing(`${tokens.prod}`),
      );
      let text = "";
      let isOver = false;
      const read = async () => {
        const decoder = new TextDecoder();
        for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>)
          text += decoder.decode(bytes);
        isOver = true;
      };
      const ended = read();
      await until(() => text.includes('"web"'), "the list has come", 10_000);
      return { text: () => text, isOver: () => isOver, ended };
    };
    const one = await listen();
    expect(one.text()).not.toContain("foreign");
    await sleep(2500);
    expect(one.isOver()).toBe(false);
    await retag("assign", "foreign", "prod");
    await one.ended;
    expect(one.text()).toMatch(
      /event: error\ndata: .*selects other domains.*"code":"unauthorized"/,
    );
    const again = await listen();
    expect(again.text()).toContain('"foreign"');
    await retag("remove", "foreign", "prod");
    await again.ended;
  });

  test("ends what hears of events, which tell of its own domains alone", async () => {
    const stop = new AbortController();
    const query = "kind=call&host=local";
    const init = { ...bearing(`${tokens.prod}`), signal: stop.signal };
    const response = await fetch(`${server.url}/events?${query}`, init);
    let text = "";
    const read = async () => {
      for await (const bytes of response.body as unknown as AsyncIterable<Uint8Array>)
        text += new TextDecoder().decode(bytes);
    };
    const ended = read().catch(() => {});
    await until(() => text.length > 0, "it listens", 10_000);
    for (const name of ["foreign", "web"])
      for (const path of ["/libvirt/domain/pause", "/libvirt/domain/resume"])
        await ask("admin", path, { name });
    await until(() => text.includes("/libvirt/domain/resume"), "it hears", 10_000);
    expect(text).not.toContain("foreign");
    await retag("remove", "web", "prod");
    await ended;
    expect(text).toContain("selects other domains");
    stop.abort();
  });
});

test("a query that was written into the file by hand, and is none for a token, allows nothing", async () => {
  tokens.hand = await access.token("hand", { role: "admin", select: "NOT tag:prod" });
  const { status, body } = await ask("hand", "/whoami", {}, "");
  expect([status, body.missing]).toEqual([403, "token"]);
  expect(body.error).toContain("without a tag");
});
