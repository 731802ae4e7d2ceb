/**
 * The rules for Prometheus, the example for Alertmanager and the dashboard for Grafana, loaded by the real programs.
 * Debian has no Grafana: each query of the dashboard is asked of a real Prometheus that scrapes a real server.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { METRICS } from "../../../runtime/metrics/names.ts";
import { readExposition } from "../../fixtures/exposition.ts";
import { until } from "../../fixtures/receivers.ts";
import { slow } from "../../fixtures/slowness.ts";
import { prometheusTools } from "../../lab/prometheus.ts";
import { freePort } from "../../lab/sshd.ts";
import { startServer, type TestServer } from "../../server.ts";

const run = promisify(execFile);
const DEPLOY = join(import.meta.dirname, "../../../deploy");
const RULES = join(DEPLOY, "prometheus/hypersdk.rules.yml");
const DASHBOARD = readFileSync(join(DEPLOY, "grafana/hypersdk.json"), "utf8");
const { promtool, prometheus, amtool } = prometheusTools();
const options = { timeout: slow(30_000), env: { ...process.env, LC_ALL: "C" } };

interface Panel {
  id: number;
  title: string;
  type: string;
  datasource?: unknown;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string }[];
}
const dashboard = JSON.parse(DASHBOARD) as { uid: string; schemaVersion: number; panels: Panel[] };
/** As Grafana fills them in, where all hypervisors and domains are chosen. */
const queries = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }) => {
    const query = expr.replaceAll("$__rate_interval", "1m").replace(/\$(instance|domain)/g, ".*");
    return { title, query };
  }),
);

const folder = mkdtempSync(join(tmpdir(), "hypersdk-monitoring-"));
let server: TestServer;
let child: ChildProcess;
let api: string;
beforeAll(async () => {
  const config = join(folder, "hypersdk.toml");
  writeFileSync(config, 'default_host = "a"\nhosts.a.uri = "test:///default"\n');
  server = await startServer({ HYPERSDK_CONFIG: config, XDG_STATE_HOME: folder });
  const target = new URL(server.url).host;
  const yaml = `
global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ["${RULES}"]
scrape_configs:
  - job_name: hypersdk
    static_configs: [{ targets: ["${target}"] }]
  - job_name: libvirt
    static_configs: [{ targets: [a] }]
    relabel_configs:
      - { source_labels: [__address__], target_label: __param_host }
      - { source_labels: [__address__], target_label: instance }
      - { target_label: __address__, replacement: "${target}" }
`;
  writeFileSync(join(folder, "prometheus.yml"), yaml);
  const address = `127.0.0.1:${await freePort()}`;
  api = `http://${address}/api/v1`;
  const args = ["--config.file", join(folder, "prometheus.yml"), "--web.listen-address", address];
  child = spawn(prometheus, [...args, "--storage.tsdb.path", join(folder, "data")], {
    stdio: "ignore",
  });
  await until(() =>
    fetch(`${api}/status/buildinfo`).then(
      (answer) => answer.ok,
      () => false,
    ),
  );
}, slow(120_000));
afterAll(async () => {
  await new Promise<void>((resolve) => {
    child.once("close", () => resolve());
    child.kill("SIGTERM");
  });
  await server.stop();
  rmSync(folder, { recursive: true });
});

// biome-ignore lint/suspicious/noExplicitAny: a test looks at whatever the answer holds
const ask = async (path: string): Promise<any> => (await fetch(`${api}/${path}`)).json();

test("promtool takes the rules, and they fire about what they should", async () => {
  const { stdout } = await run(promtool, ["check", "rules", RULES], options);
  expect(stdout).toMatch(/SUCCESS: \d+ rules found/);
  const series = (name: string, values: string) =>
    `      - { series: '${name}', values: '${values}' }`;
  const expected = (alert: string, labels: string, summary: string, at = "20m") =>
    `      - { eval_time: ${at}, alertname: ${alert}, exp_alerts: [{ exp_labels: {${labels}}, exp_annotations: { summary: ${JSON.stringify(summary)} } }] }`;
  const yaml = `
rule_files: ["${RULES}"]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
${series('up{job="hypersdk", instance="s"}', "0x30")}
${series('libvirt_up{instance="kvm1"}', "1x10 0x20")}
${series('libvirt_up{instance="s", host="kvm2"}', "0x30")}
${series('libvirt_storage_pool_available_bytes{instance="kvm1", storage_pool="p"}', "5x30")}
${series('libvirt_storage_pool_capacity_bytes{instance="kvm1", storage_pool="p"}', "100x30")}
${series('libvirt_domain_info_vstate{instance="kvm1", domain="web"}', "1x10 6x20")}
${series('hypersdk_jobs_ended_total{instance="s", function="/libvirt/clone", result="failed"}', "0+1x30")}
    alert_rule_test:
${expected("HyperSDKDown", "severity: critical, job: hypersdk, instance: s", "HyperSDK at s does not answer")}
${expected("HypervisorDown", "severity: critical, instance: kvm1}, exp_annotations: { summary: 'Hypervisor kvm1 does not answer' } }, { exp_labels: { severity: critical, instance: s, host: kvm2", "Hypervisor kvm2 does not answer")}
${expected("StoragePoolFull", "severity: warning, instance: kvm1, storage_pool: p", "Storage pool p is 95% full")}
${expected("DomainCrashed", "severity: critical, instance: kvm1, domain: web", "Domain web has crashed")}
${expected("HyperSDKJobsFailing", "severity: warning, instance: s, function: /libvirt/clone", "Jobs of /libvirt/clone fail: 15 in 15 minutes")}
      - { eval_time: 20m, alertname: DomainPaused, exp_alerts: [] }
`;
  const file = join(folder, "rules.test.yml");
  writeFileSync(file, yaml);
  const tested = await run(promtool, ["test", "rules", file], options);
  expect(tested.stdout).toMatch(/SUCCESS/);
});

test("amtool takes the example for Alertmanager", async () => {
  const file = join(DEPLOY, "prometheus/alertmanager.yml");
  const { stdout } = await run(amtool, ["check-config", file], options);
  expect(stdout).toMatch(/SUCCESS/);
  const routed = async (...labels: string[]) =>
    (
      await run(amtool, ["config", "routes", "test", `--config.file=${file}`, ...labels], options)
    ).stdout.trim();
  expect(await routed("severity=critical")).toBe("on-call");
  expect(await routed("severity=warning")).toBe("team");
});

test("a real Prometheus evaluates every rule, and answers every query of the dashboard", async () => {
  await until(async () => {
    const { data } = await ask("targets");
    const targets: { health: string }[] = data.activeTargets;
    return targets.length === 2 && targets.every(({ health }) => health === "up");
  });
  const { data } = await until(async () => {
    const rules = await ask("rules");
    const all = rules.data.groups.flatMap(({ rules }: { rules: { health: string }[] }) => rules);
    return all.every(({ health }: { health: string }) => health !== "unknown") && rules;
  });
  const rules = data.groups.flatMap(({ rules }: { rules: object[] }) => rules);
  expect(rules.length).toBeGreaterThan(10);
  expect(rules.filter(({ health }: { health: string }) => health !== "ok")).toEqual([]);
  expect(queries.length).toBeGreaterThan(15);
  for (const { title, query } of queries) {
    const answer = await ask(`query?query=${encodeURIComponent(query)}`);
    expect(answer.status, `${title}: ${answer.error}`).toBe("success");
  }
  const running = queries.find(({ title }) => title === "Domains running")?.query ?? "";
  const { result } = (await ask(`query?query=${encodeURIComponent(running)}`)).data;
  expect(Number(result[0].value[1])).toBeGreaterThan(0);
});

test("rules and dashboard name only metrics that there are", async () => {
  const own = readExposition(await (await fetch(`${server.url}/metrics`)).text());
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const helped = [...text.matchAll(/^# HELP (\S+)/gm)].map(([, name]) => `${name}`);
  const known = new Set([...Object.keys(METRICS), ...helped, ...own.map(({ name }) => name)]);
  const named =
    `${readFileSync(RULES, "utf8")}${DASHBOARD}`.match(/\b(hypersdk|libvirt)_[a-z_]+/g) ?? [];
  const unknown = [...new Set(named)].filter((name) => !known.has(name.replace(/_bucket$/, "")));
  expect(unknown).toEqual([]);
});

test("the dashboard has the shape that Grafana imports, and no panel lies on another", () => {
  expect(dashboard).toMatchObject({ uid: "hypersdk", schemaVersion: expect.any(Number) });
  const ids = dashboard.panels.map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  for (const { type, title, datasource } of dashboard.panels.filter(({ type }) => type !== "row")) {
    expect(datasource, `${type} ${title}`).toEqual({ type: "prometheus", uid: "$datasource" });
  }
});
