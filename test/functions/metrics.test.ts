/** GET /metrics as Prometheus and others call it; test/live/metrics.test.ts has real guests. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FUNCTIONS } from "../../runtime/function/load.ts";
import { readExposition } from "../fixtures/exposition.ts";
import { startServer, type TestServer } from "../server.ts";

const folder = mkdtempSync(join(tmpdir(), "metrics-"));
const HYPERSDK_CONFIG = join(folder, "hypersdk.toml");
writeFileSync(
  HYPERSDK_CONFIG,
  `default_host = "a"
[hosts.a]
uri = "test:///default"
[hosts.b]
uri = "test:///default"
[hosts.dead]
uri = "qemu+unix:///system?socket=${folder}/none"
`,
);

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ HYPERSDK_CONFIG });
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const scrape = async (query = "", init: RequestInit = {}) => {
  const response = await fetch(`${server.url}/metrics${query}`, init);
  const text = await response.text();
  expect(response.status, text).toBe(200);
  return readExposition(text);
};
const up = (samples: Awaited<ReturnType<typeof scrape>>) =>
  samples.flatMap(({ name, labels, value }) =>
    name === "libvirt_up" ? [[labels.host, value]] : [],
  );

test("its content type is Prometheus' own", async () => {
  const { headers } = await fetch(`${server.url}/metrics`);
  expect(headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
});

test("the server counts what it answers", async () => {
  const requests = async () =>
    Object.fromEntries(
      (await scrape())
        .filter(({ name }) => name === "hypersdk_requests_total")
        .map(({ labels, value }) => [`${labels.function} ${labels.status}`, value]),
    );
  const before = await requests();
  await server.get("/libvirt/networks");
  await server.get("/libvirt/networks");
  await server.get("/libvirt/network?name=none");
  await server.get("/libvirt/networks?host=elsewhere");
  await server.post("/libvirt/network/create", { name: "lan" });
  await server.post("/libvirt/networks", {});
  await server.get("/there/is/no/such");
  const after = await requests();
  const more = Object.entries(after).map(([key, value]) => [key, value - (before[key] ?? 0)]);
  expect(Object.fromEntries(more)).toEqual({
    "/libvirt/networks 200": 2,
    "/libvirt/networks 400": 1,
    "/libvirt/networks 405": 1,
    "/libvirt/network 404": 1,
    "/libvirt/network/create 201": 1,
    "/metrics 200": 1,
    "none 404": 1,
  });
});

test("its sessions are there", async () => {
  const sessions = (await scrape()).filter(({ name }) => name === "hypersdk_virsh_sessions");
  expect(sessions.filter(({ labels }) => labels.host === "a").map(({ value }) => value)).toEqual([
    0, 1,
  ]);
});

test("a hypervisor by query or header: its own alone, with its one domain", async () => {
  for (const samples of [
    await scrape("?host=b"),
    await scrape("", { headers: { "X-Hypervisor": "b" } }),
  ]) {
    expect(up(samples)).toEqual([[undefined, 1]]);
    expect(samples.filter(({ name }) => !name.startsWith("libvirt_"))).toEqual([]);
    const states = samples.filter(({ name }) => name === "libvirt_domain_info_state");
    expect(states.map(({ labels, value }) => [labels, value])).toEqual([
      [{ domain: "test", state_desc: "the domain is running" }, 1],
    ]);
  }
});

test("several: one text, each sample with its host; a dead one is down", async () => {
  expect(up(await scrape("?host=b,a"))).toEqual([
    ["b", 1],
    ["a", 1],
  ]);
  const all = await scrape("?host=*");
  expect(up(all)).toEqual([
    ["a", 1],
    ["b", 1],
    ["dead", 0],
    ["local", expect.any(Number)],
  ]);
  expect(all.filter(({ labels }) => !labels.host)).toEqual([]);
});

test("a hypervisor that is down is no error of the scrape", async () => {
  expect(await scrape("?host=dead")).toEqual([{ name: "libvirt_up", labels: {}, value: 0 }]);
});

test("what is wrong is answered in the envelope", async () => {
  for (const query of ["?host=elsewhere", "?host=a,elsewhere", "?colour=red"]) {
    const { status, body } = await server.get(`/metrics${query}`);
    expect([status, body.code], query).toEqual([400, "invalid_input"]);
  }
  expect((await server.post("/metrics", {})).status).toBe(405);
});

test("a script gets the same text", async () => {
  const script = `import metrics from ${JSON.stringify(join(FUNCTIONS, "metrics.ts"))};
    process.stdout.write(JSON.stringify([await metrics({}), await metrics({}, { host: "b" })]));`;
  const child = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...process.env, HYPERSDK_CONFIG },
  });
  const [all, one] = JSON.parse(child.stdout.toString()).map(readExposition);
  expect(up(all)).toEqual([[undefined, 1]]);
  expect(all[0].name).toMatch(/^hypersdk_|^process_/);
  expect(one.every(({ name }: { name: string }) => name.startsWith("libvirt_"))).toBe(true);
});

test("its file serves itself", async () => {
  const alone = await startServer({ HYPERSDK_CONFIG }, [join(FUNCTIONS, "metrics.ts")]);
  try {
    const samples = readExposition(await (await fetch(alone.url)).text());
    expect(up(samples)).toEqual([[undefined, 1]]);
  } finally {
    await alone.stop();
  }
});
