/** Many domains in one call: what each operation did to each of them, as virsh sees it. */
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect } from "vitest";
import { children, parseXml, textOf, xml } from "../../../runtime/libvirt/xml.ts";
import { labTest } from "../../fixtures/live/lab-test.ts";
import { NAMES_JOBS, SINCE_11_3 } from "../../fixtures/live/release.ts";
import { defineDomain, expectError, until, virsh } from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { guestSays, tinyGuestXml } from "../../lab/guest.ts";
import { startLibvirtd, stopLibvirtd } from "../../lab/libvirtd.ts";
import type { Answer } from "../../server.ts";

const run = promisify(execFile);
const IMAGES = "/var/lib/libvirt/images";
const LINUX = ["obeys  'one'", "obeys two"] as const;
const consoleOf = (name: string) =>
  readFileSync(`/var/log/libvirt/qemu/${name}-console.log`, "utf8");

const { test, server } = labTest({ tidy: sweep });
let booted: Promise<unknown>;

const call = (operation: string, domains: unknown, options = {}) =>
  server.post(`/libvirt/batch/${operation}`, { domains, ...options });
const state = async (name: string) => (await virsh("domstate", "--domain", name)).trim();
const words = (text: string) => text.split("\n").filter(Boolean);

async function define(definition: string, verb = "define") {
  writeFileSync("/run/definition.xml", definition);
  await virsh(verb, "--file", "/run/definition.xml");
}

/** Nothing boots on it; with a disk of this format. */
async function machine(name: string, format?: "qcow2" | "raw") {
  const path = `${IMAGES}/${name}.${format}`;
  if (format) await run("qemu-img", ["create", "-q", "-f", format, path, "8M"]);
  await define(
    `${xml`<domain type="qemu"><name>${name}</name><memory unit="MiB">16</memory><vcpu>1</vcpu>
  <os><type arch="x86_64" machine="pc">hvm</type></os><features><acpi/></features>
  <devices>
    ${format && xml`<disk type="file"><driver name="qemu" type="${format}"/><source file="${path}"/><target dev="vda"/></disk>`}
    <memballoon model="none"/>
  </devices></domain>`}`,
  );
}

/** Destroy and forget every domain but those that boot Linux, and remove every image. */
async function sweep() {
  const others = async (...options: string[]) =>
    words(await virsh("list", "--uuid", "--name", ...options))
      .filter((row) => !LINUX.some((name) => name === row.slice(37)))
      .map((row) => row.slice(0, 36));
  for (const id of await others()) await virsh("destroy", "--domain", id);
  for (const id of await others("--all"))
    await virsh("undefine", "--domain", id, "--managed-save", "--snapshots-metadata");
  for (const path of words((await run("find", [IMAGES, "-type", "f"])).stdout)) rmSync(path);
}

/** virsh takes a number for an ID. */
async function uuid(name: string) {
  const rows = words(await virsh("list", "--all", "--uuid", "--name"));
  return rows.find((row) => row.slice(37) === name)?.slice(0, 36);
}

/** The batch answer, all of it; returns its results. */
function expectBatch(answer: Answer, operation: string, domains: string[], failures: object = {}) {
  const failed = Object.keys(failures).length;
  expect(answer.status, JSON.stringify(answer.body)).toBe(200);
  expect(Object.keys(answer.body)).toEqual(
    "operation total successful failed results start_time end_time duration".split(" "),
  );
  expect(answer.body, JSON.stringify(answer.body.results)).toMatchObject({
    operation,
    total: domains.length,
    successful: domains.length - failed,
    failed,
    duration: expect.stringMatching(/^(\d+ms|\d+(\.\d)?s|\d+m\d+s)$/),
    results: domains.map((domain) => {
      const code = (failures as Record<string, string>)[domain];
      return code
        ? { domain, success: false, code, error: expect.stringMatching(/./) }
        : { domain, success: true };
    }),
  });
  const { start_time, end_time, results } = answer.body;
  expect([start_time, end_time].join()).toMatch(/^[\d-]+T[\d:.]+Z,[\d-]+T[\d:.]+Z$/);
  expect(Date.parse(end_time)).toBeGreaterThanOrEqual(Date.parse(start_time));
  for (const one of results) if (one.success) expect(one).not.toHaveProperty("error");
  return results;
}

beforeAll(async () => {
  for (const name of LINUX) await define(await tinyGuestXml({ name }), "create");
  booted = Promise.all(LINUX.map((name) => guestSays(name, "READY")));
  booted.catch(() => {}); // it is waited for below
});
afterAll(async () => {
  for (const name of words(await virsh("list", "--name"))) await virsh("destroy", "--domain", name);
});

describe("start, pause, resume, reboot, stop", () => {
  const NAMES = ["web server", 'it\'s "one"', "$(id);x", "漢字 🙂"];

  test("one life, every step of it checked; one that does not exist fails alone", async () => {
    for (const name of NAMES) await machine(name);
    const [first = "", ...rest] = NAMES;
    const all = [first, "not there", ...rest];
    const states = () => Promise.all(NAMES.map(state));
    const everybody = (state: string) => NAMES.map(() => state);
    const missing = { "not there": "not_found" };

    const started = expectBatch(await call("start", all), "start", all, missing);
    expect(started[1].error).toMatch(/'not there'/);
    expect(await states()).toEqual(everybody("running"));
    const active = Object.fromEntries(NAMES.map((name) => [name, "already_active"]));
    expectBatch(await call("start", NAMES), "start", NAMES, active);

    expectBatch(await call("pause", all), "pause", all, missing);
    expect(await states()).toEqual(everybody("paused"));
    expectBatch(await call("resume", all), "resume", all, missing);
    expect(await states()).toEqual(everybody("running"));
    expectBatch(await call("resume", NAMES), "resume", NAMES, active);

    const ids = await virsh("list", "--id", "--name");
    const event = virsh("event", "--domain", first, "--event", "reboot", "--timeout", "15");
    await until("virsh listens", async () => {
      expectBatch(await call("reboot", all, { force: true }), "reboot", all, missing);
      return Promise.race([event.then(() => true), Bun.sleep(500).then(() => false)]);
    });
    expect(await event).toMatch(/event 'reboot' for domain/);
    expect(await virsh("list", "--id", "--name")).toBe(ids);

    const stopped = expectBatch(await call("stop", all, { force: true }), "stop", all, missing);
    expect(stopped[0]).toEqual({ domain: first, success: true, state: "shut off" });
    expect(await states()).toEqual(everybody("shut off"));
    const off = Object.fromEntries(NAMES.map((name) => [name, "not_active"]));
    for (const operation of ["stop", "pause", "resume", "reboot"])
      expectBatch(await call(operation, NAMES), operation, NAMES, off);
    expectBatch(await call("start", NAMES, { paused: true }), "start", NAMES);
    expect(await states()).toEqual(everybody("paused"));
  });

  test("a number that is another domain's ID means the domain of that name", async () => {
    const other = await defineDomain("other", { verb: "create" });
    const id = (await virsh("domid", "--domain", other)).trim();
    for (const operation of ["pause", "stop", "reboot", "snapshot", "delete", "start"])
      expectBatch(await call(operation, [id]), operation, [id], { [id]: "not_found" });
    const named = await defineDomain(id);
    expectBatch(await call("start", [id], { paused: true }), "start", [id]);
    expect([await state(named), await state(other)]).toEqual(["paused", "running"]);
    expectBatch(await call("stop", [id], { force: true }), "stop", [id]);
    expectBatch(await call("delete", [id]), "delete", [id]);
    expect(words(await virsh("list", "--all", "--name"))).toContain("other");
    expect(await uuid(id)).toBeUndefined();
  });

  test("a guest that does not obey is asked, or fails when waited for, and runs on", async () => {
    await machine("deaf");
    await machine("off");
    await virsh("start", "--domain", "deaf");
    for (const operation of ["stop", "reboot"])
      expectBatch(await call(operation, ["deaf"]), operation, ["deaf"]);
    const begun = performance.now();
    const failures = { deaf: "timed_out", off: "not_active" };
    const answer = await call("stop", ["deaf", "off"], { timeout: 1.5 });
    const results = expectBatch(answer, "stop", ["deaf", "off"], failures);
    expect(results[0].error).toMatch(/asked to shut down, but still running after 1.5 s/);
    expect(performance.now() - begun).toBeGreaterThan(1500);
    expect(performance.now() - begun).toBeLessThan(slow(5000));
    expect(await state("deaf")).toBe("running");
  });
});

test("start: a domain whose disk another image stands on stays off, until the image has gone", async () => {
  const names = ["a", "base 'b'", "c"];
  for (const name of names) await machine(name, "qcow2");
  const [base, over] = [`${IMAGES}/base 'b'.qcow2`, `${IMAGES}/over`];
  const overlay = ["create", "-q", "-f", "qcow2", "-b", base, "-F", "qcow2", over];
  await run("qemu-img", overlay);
  await virsh("pool-refresh", "default");
  const start = () => call("start", names, { paused: true });
  const results = expectBatch(await start(), "start", names, { "base 'b'": "in_use" });
  expect(results[1]).toMatchObject({ error: expect.stringMatching(/base of/), children: [over] });
  expect(await Promise.all(names.map(state))).toEqual(["paused", "shut off", "paused"]);
  await virsh("vol-delete", "--pool", "default", "--vol", "over");
  const active = { a: "already_active", c: "already_active" };
  expectBatch(await start(), "start", names, active);
  expect(await state("base 'b'")).toBe("paused");
});

describe("snapshot", () => {
  const taken = async (domain: string, name: string) =>
    parseXml(await virsh("snapshot-dumpxml", domain, "--snapshotname", name), "domainsnapshot");
  const memory = (snapshot: Awaited<ReturnType<typeof taken>>) =>
    children(snapshot, "memory").map((one) => one["@snapshot"]);

  test("with memory where it runs, without where it is off; a raw disk fails alone", async () => {
    await machine("it's on", "qcow2");
    await machine("off", "qcow2");
    await machine("raw one", "raw");
    await machine("paused", "qcow2");
    for (const name of ["it's on", "raw one", "paused"]) await virsh("start", "--domain", name);
    await virsh("suspend", "--domain", "paused");
    const domains = ["raw one", "it's on", "off", "paused"];
    const description = 'two\nlines, <b> "quoted" & it\'s';
    const prefix = NAMES_JOBS ? "before.it" : "before 'it'";
    const options = { name_prefix: prefix, description, atomic: true };
    const answer = await call("snapshot", domains, options);
    const results = expectBatch(answer, "snapshot", domains, { "raw one": "unsupported" });
    const name = results[1].snapshot;
    expect(name.replace(prefix, "")).toMatch(/^-\d{8}T\d{6}Z$/);
    expect(results.slice(1).map((one: { snapshot: string }) => one.snapshot)).toEqual([
      name,
      name,
      name,
    ]);
    for (const [domain, saved, now] of [
      ["it's on", "running", "running"],
      ["off", "shutoff", "shut off"],
      ["paused", "paused", "paused"],
    ] as const) {
      const snapshot = await taken(domain, name);
      expect(textOf(snapshot, "description")).toBe(description);
      expect(textOf(snapshot, "state")).toBe(saved);
      expect(memory(snapshot)).toEqual([domain === "off" ? "no" : "internal"]);
      expect(await state(domain)).toBe(now);
    }
    expect(await virsh("snapshot-list", "--domain", "raw one", "--name")).toBe("");
    expect(await state("raw one")).toBe("running");
    const { stdout } = await run("qemu-img", ["snapshot", "-l", "-U", `${IMAGES}/it's on.qcow2`]);
    expect(stdout).toContain(name);
  });

  test.runIf(NAMES_JOBS)(
    `a name that a running domain cannot have here fails alone ${SINCE_11_3}`,
    async () => {
      for (const name of ["on", "off"]) await machine(name, "qcow2");
      await virsh("start", "--domain", "on");
      const answer = await call("snapshot", ["on", "off"], { name_prefix: "before 'it'" });
      const results = expectBatch(answer, "snapshot", ["on", "off"], { on: "unsupported" });
      expect(results[0].error).toMatch(/not "before 'it'-\w+": choose such a name/);
    },
  );

  test("disk_only: overlays beside the disks, of running ones, off ones and raw disks", async () => {
    await machine("on", "qcow2");
    await machine("off", "qcow2");
    await machine("raw", "raw");
    await virsh("start", "--domain", "on");
    await virsh("start", "--domain", "raw");
    const domains = ["on", "off", "raw"];
    const answer = await call("snapshot", domains, { disk_only: true, atomic: true });
    const results = expectBatch(answer, "snapshot", domains);
    const name = results[0].snapshot;
    expect(name).toMatch(/^snapshot-/);
    for (const domain of domains) {
      const overlay = `${IMAGES}/${domain}.${name}`;
      expect(await virsh("domblklist", "--domain", domain)).toContain(overlay);
      const { stdout } = await run("qemu-img", ["info", "-U", "--output=json", overlay]);
      const base = `${IMAGES}/${domain}.${domain === "raw" ? "raw" : "qcow2"}`;
      expect(JSON.parse(stdout)).toMatchObject({ "backing-filename": base });
      expect(memory(await taken(domain, name))).toEqual(["no"]);
      expect(textOf(await taken(domain, name), "description")).toBeUndefined();
    }
    expect(await state("on")).toBe("running");
  });

  test("a second one in the same second, or a disk that is gone: the domain fails alone", async () => {
    for (const name of ["a", "b"]) await machine(name, "qcow2");
    rmSync(`${IMAGES}/b.qcow2`);
    const results = (await call("snapshot", ["a", "b"])).body.results;
    expect(results).toMatchObject([{ success: true }, { success: false }]);
    expect(results[1].error).toMatch(/b\.qcow2/);
  });
});

describe("input", () => {
  const names = (count: number) => Array.from({ length: count }, (_, i) => `vm ${i}`);
  const OPERATIONS = ["start", "stop", "reboot", "snapshot", "delete", "pause", "resume"];

  test.each(OPERATIONS)("%s refuses what is wrong with an envelope", async (operation) => {
    const refused = async (text: RegExp, domains: unknown, options = {}) =>
      expectError(await call(operation, domains, options), 400, "invalid_input", text);
    await refused(/^domains: required/, undefined);
    await refused(/^domains: must name at least one/, []);
    await refused(/^domains: must name at most 1000/, names(1001));
    await refused(/^domains: must not name a domain twice/, ["a", "b", "a"]);
    await refused(/^domains\.1: must not contain/, ["a", "local/b/c"]);
    await refused(/^host: unknown hypervisor "b"/, ["a", "b/c"]);
    await refused(/^domains: .*array/, "a");
    await refused(/unknown key "forse" \(allowed: domains/, ["a"], { forse: true });
    const got = await server.get(`/libvirt/batch/${operation}`);
    expectError(got, 405, "method_not_allowed", /use POST/);
  });

  test("options of the wrong kind", async () => {
    for (const [operation, options] of [
      ["start", { paused: "yes" }],
      ["stop", { force: 1 }],
      ["stop", { timeout: 0 }],
      ["reboot", { force: null }],
      ["snapshot", { name_prefix: "a/b" }],
      ["snapshot", { description: "\0" }],
      ["delete", { remove_storage: "all" }],
    ] as const) {
      const [option = ""] = Object.keys(options);
      const answer = await call(operation, ["a"], options);
      expectError(answer, 400, "invalid_input", new RegExp(`^${option}: `));
    }
  });

  test("1000 that do not exist: each is told", async () => {
    const failures = Object.fromEntries(names(1000).map((name) => [name, "not_found"]));
    expectBatch(await call("pause", names(1000)), "pause", names(1000), failures);
  });
});

/** libvirtd runs this at each step of a start, and waits for it. */
const HOOK = "/etc/libvirt/hooks/qemu";

describe("50 domains", () => {
  const names = Array.from({ length: 50 }, (_, i) => `machine ${i}`);
  beforeAll(async () => {
    mkdirSync("/etc/libvirt/hooks", { recursive: true });
    writeFileSync(HOOK, '#!/bin/sh\necho "$2 $1" >>/run/hook.log\n', { mode: 0o755 });
    await stopLibvirtd("SIGTERM");
    await startLibvirtd(); // it looks for hooks when it starts
  });
  afterAll(async () => {
    rmSync(HOOK);
    await stopLibvirtd("SIGTERM");
    await startLibvirtd();
  });

  test("never more than four start at once, and each is reported", async () => {
    for (const name of names) await machine(name);
    writeFileSync("/run/hook.log", "");
    expectBatch(await call("start", names, { paused: true }), "start", names);
    const log = words(readFileSync("/run/hook.log", "utf8"));
    let [now, most] = [0, 0];
    for (const line of log) {
      if (line.startsWith("prepare ")) most = Math.max(most, ++now);
      if (line.startsWith("started ")) now--;
    }
    expect(log.filter((line) => line.startsWith("started ")).length).toBe(50);
    expect(most).toBeGreaterThan(1);
    expect(most).toBeLessThanOrEqual(4);
    expect(words(await virsh("list", "--name")).sort()).toEqual([...names, ...LINUX].sort());
    expectBatch(await call("delete", names), "delete", names);
    expect(words(await virsh("list", "--all", "--name")).sort()).toEqual([...LINUX].sort());
  });
});

describe("guests that obey", () => {
  beforeAll(() => booted);

  test("reboot: the same machine boots again", async () => {
    const [name] = LINUX;
    const id = await virsh("domid", "--domain", name);
    expectBatch(await call("reboot", [name]), "reboot", [name]);
    await guestSays(name, "POWER BUTTON");
    const boots = () => consoleOf(name).match(/READY/g)?.length === 2;
    await until("it boots again", boots, 50);
    expect(await virsh("domid", "--domain", name)).toBe(id);
    expect(await state(name)).toBe("running");
  });

  test("stop: asked, and waited for", async () => {
    const begun = performance.now();
    const [asked, waited] = LINUX;
    const result = expectBatch(await call("stop", [asked]), "stop", [asked]);
    expect(result).toEqual([{ domain: asked, success: true, state: "shutdown requested" }]);
    const off = await call("stop", [waited], { timeout: Math.min(slow(40), 600) });
    expect(words(await virsh("list", "--all", "--name"))).not.toContain(waited); // transient: gone
    expect(expectBatch(off, "stop", [waited])).toEqual([
      { domain: waited, success: true, state: "shut off" },
    ]);
    expect(performance.now() - begun).toBeLessThan(slow(20_000));
    expect(consoleOf(waited)).toContain("POWER BUTTON");
    const left = async () => words(await virsh("list", "--all", "--name"));
    await until("both are off", async () => (await left()).length === 0, 20);
  });
});
