/** libvirtd writes its errors in the language of its machine: the codes are the same in each. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { clean, defineDomain, env, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import { startServer, type TestServer } from "../../server.ts";

const IMAGES = "/var/lib/libvirt/images";
const LANGUAGES = ["de_DE.UTF-8", "ja_JP.UTF-8", "uk_UA.UTF-8"];
const locales = mkdtempSync(join(tmpdir(), "locales-"));

let server: TestServer;
const post = (path: string, body: object) => server.post(`/libvirt/${path}`, body);
const named = (name: string) => ({ name });
const ofDomain = (snapshot_name: string) => ({ domain_name: "off", snapshot_name });
const subnet = { subnet: "10.71.0.1/24" };

/** Each call, and its code where libvirtd speaks English. */
const CALLS: [string, object, string][] = [
  ["network/create", { name: "on" }, "already_exists"],
  ["network/create", { name: "other", bridge: "virbr71" }, "already_exists"],
  ["network/start", named("on"), "already_active"],
  ["network/stop", named("off"), "not_active"],
  ["network/start", named("same"), "in_use"],
  ["network/start", named("none"), "not_found"],
  ["domain/start", named("on"), "already_active"],
  ["domain/start", named("cut off"), "not_active"],
  ["domain/pause", named("off"), "not_active"],
  ["domain/resume", named("off"), "not_active"],
  ["domain/resume", named("on"), "already_active"],
  ["domain/shutdown", named("off"), "not_active"],
  ["domain/reboot", named("off"), "not_active"],
  ["domain/destroy", named("off"), "not_active"],
  ["domain/start", named("none"), "not_found"],
  ["interface/attach", { vm_name: "on", network: "off" }, "not_active"],
  ["volume/create", { pool: "default", name: "v", capacity: 1, format: "raw" }, "already_exists"],
  ["volume/delete", { pool: "default", volume: "none" }, "not_found"],
  ["volume/delete", { pool: "none", volume: "v" }, "not_found"],
  ["snapshot/create", ofDomain("s1"), "already_exists"],
  ["snapshot/delete", ofDomain("none"), "not_found"],
  ["snapshot/revert", ofDomain("none"), "not_found"],
];

const BATCHES: [string, string, string][] = [
  ["start", "on", "already_active"],
  ["pause", "off", "not_active"],
  ["resume", "off", "not_active"],
];

beforeAll(async () => {
  process.env.LOCPATH = locales;
  for (const locale of LANGUAGES) {
    const [language = "", charset = ""] = locale.split(".");
    execFileSync("localedef", ["-i", language, "-f", charset, join(locales, locale)]);
  }
  server = await startServer();
});
afterAll(async () => {
  await server.stop();
  await stopLibvirtd();
  await startLibvirtd();
  rmSync(locales, { recursive: true });
});

async function prepare() {
  await post("network/create", { name: "on", bridge: "virbr71", ...subnet, start: true });
  await post("network/create", named("off"));
  for (const name of ["on", "off"]) await defineDomain(name);
  await virsh("start", "--domain", "on");
  await post("volume/create", { pool: "default", name: "v", capacity: 1, format: "raw" });
  const same = `<network><name>same</name><bridge name='virbr72'/><ip address='10.71.0.9' prefix='24'/></network>`;
  await define("net-define", same);
  await machine("cut off", "", "<interface type='network'><source network='off'/></interface>");
  const disk = `<disk type='file'><driver name='qemu' type='qcow2'/><source file='${IMAGES}/d'/><target dev='vda'/></disk>`;
  await virsh("vol-create-as", "--pool", "default", "--name", "d", "8M", "--format", "qcow2");
  await virsh("undefine", "--domain", "off");
  await machine("off", disk);
  await virsh("snapshot-create-as", "--domain", "off", "--name", "s1");
}

async function define(verb: string, text: string) {
  writeFileSync("/run/definition.xml", text);
  await virsh(verb, "--file", "/run/definition.xml");
}

const machine = (name: string, ...devices: string[]) =>
  define(
    "define",
    `<domain type='qemu'><name>${name}</name><memory unit='MiB'>16</memory><os><type arch='x86_64' machine='pc'>hvm</type></os><devices>${devices.join("")}</devices></domain>`,
  );

async function empty() {
  for (const name of ["s1", "e1"])
    await virsh(
      ...["snapshot-delete", "--domain", "off", "--snapshotname", name, "--metadata"],
    ).catch(() => {});
  await clean();
  await virsh("pool-refresh", "--pool", "default"); // it has not seen the overlay
  for (const name of ["v", "d", "d.e1"])
    await virsh("vol-delete", "--pool", "default", "--vol", name).catch(() => {});
}

/** The errors of libvirtd itself, which show its language. */
const complaint = () =>
  virsh("net-start", "--network", "on").catch(({ stderr }: { stderr: string }) => stderr);

afterEach(empty);
test.each(["C", ...LANGUAGES])("%s", { timeout: slow(120_000) }, async (locale) => {
  await stopLibvirtd("SIGTERM");
  await startLibvirtd(locale);
  await prepare();
  expect(env.LC_ALL).toBe("C.UTF-8"); // of virsh, in each language
  expect((await complaint()).includes("Requested operation is not valid")).toBe(locale === "C");

  const codes: unknown[] = [];
  for (const [path, body] of CALLS) codes.push((await post(path, body)).body.code);
  expect(codes.map((code, i) => [CALLS[i]?.[0], CALLS[i]?.[1], code])).toEqual(CALLS);
  expect((await post("snapshot/delete", ofDomain("none"))).status).toBe(404);

  for (const [verb, name, code] of BATCHES) {
    const { body } = await post(`batch/${verb}`, { domains: [name] });
    expect(body.results).toMatchObject([{ code }]);
  }

  await virsh("snapshot-delete", "--domain", "off", "--snapshotname", "s1");
  expect((await post("snapshot/create", { ...ofDomain("e1"), disk_only: true })).status).toBe(201);
  const reverted = await post("snapshot/revert", ofDomain("e1"));
  expect(reverted.body).toMatchObject({ status: "success", data: { state: "shut off" } });
});
