/**
 * Every function with requests made from its own schema, good and hostile: 20,000 and more. Most go to libvirt's
 * test driver in this process; some over HTTP to the lab's libvirtd and QEMU, with all of the server before it.
 */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { STATUS } from "../../../runtime/core/errors.ts";
import { log } from "../../../runtime/core/log.ts";
import type { HyperFunction } from "../../../runtime/function/define.ts";
import { closeHypervisors } from "../../../runtime/hypervisor/registry.ts";
import { createRouter } from "../../../runtime/server/router.ts";
import { guarded } from "../../fixtures/access.ts";
import { allFunctions } from "../../fixtures/functions.ts";
import { CANARY, type Known, type Made, requests } from "../../fixtures/hostile.ts";
import {
  clean,
  defineDomain,
  defineNetwork,
  networkNames,
  processes,
  until,
  virsh,
} from "../../fixtures/live/virsh.ts";
import { slow } from "../../fixtures/slowness.ts";
import { startServer } from "../../server.ts";

const IN_PROCESS = 18_000;
const OVER_HTTP = 2_100;
/** Requests after which a world is made new, since they destroy it. */
const FRESH = 300;
const AT_ONCE = 5;

// a file system that is wrong about what it has would be blamed on us
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() % 2 ** 31);

const access = guarded('hosts.local.uri = "test:///default"', "limits.rate = 100000");
Object.assign(process.env, access.env);
/** Without streams that have no end. */
const functions = (await allFunctions())
  .map((one) => ({ ...one, function: one.function as HyperFunction }))
  .filter(({ function: { spec } }) => spec.stream !== "sse");
const stamp = `${access.folder}/stamp`;

beforeAll(() => {
  log.level = "silent";
  writeFileSync(stamp, "");
});
afterAll(async () => {
  await closeHypervisors();
  access.remove();
});

/** A call that waits for what another one has undone is cut off. */
const PATIENCE_MS = slow(20_000);

/** Requests that are made at once. */
const any = (known: Known, which = functions) => {
  const one = fc.oneof(...which.map(({ path, function: { spec } }) => requests(path, spec, known)));
  return fc.array(one, { minLength: AT_ONCE, maxLength: AT_ONCE });
};

/** What may be said of every answer. Returns its code, or its status. */
function judge(made: Made, status: number, type: string, text: string): string {
  const about = `${made.method} ${made.path}?${made.query} ${made.body?.slice(0, 300)}\n${status} ${text.slice(0, 500)}`;
  const fail = (why: string): never => {
    throw new Error(`${why}: ${about}`);
  };
  if (status < 400) {
    const { media, message, stream } =
      functions.find(({ path }) => path === made.path)?.function.spec ?? {};
    if (stream === "bytes" && type === "application/octet-stream") return "bytes";
    if (media) return type === media ? "text" : fail(`not ${media}`);
    if (!type.startsWith("application/json")) fail("no JSON");
    const body = JSON.parse(text);
    const enveloped =
      body.status === "success" &&
      typeof body.message === "string" &&
      "data" in body &&
      "timestamp" in body;
    const batch =
      Array.isArray(body.results) &&
      typeof body.operation === "string" &&
      body.total === body.results.length;
    if (!enveloped && !batch && message !== null) fail("no envelope");
    // one of a batch, or of several hypervisors, is no better than one alone
    if (JSON.stringify(body).includes('"code":"internal"')) fail("an internal error");
    return batch ? "batch" : `${status}`;
  }
  const body = JSON.parse(text);
  if (typeof body.error !== "string" || typeof body.timestamp !== "string") fail("no envelope");
  if (STATUS[body.code as keyof typeof STATUS] !== status) fail("no code of this status");
  if (["internal", "function_unavailable", "outcome_unknown"].includes(body.code)) fail("a crash");
  return body.code;
}

function tally(codes: Map<string, number>, code: string) {
  codes.set(code, (codes.get(code) ?? 0) + 1);
}

/** Files that were made or changed outside of where they belong, since the beginning. */
function strays(): string[] {
  const roots = [
    "/bin",
    "/boot",
    "/etc",
    "/home",
    "/lib",
    "/opt",
    "/root",
    "/sbin",
    "/srv",
    "/tmp",
    "/usr/local",
    "/var/tmp",
    "/media",
    "/mnt",
  ];
  const there = roots.filter((root) => existsSync(root));
  const skip = [
    "-path",
    access.folder,
    "-prune",
    "-o",
    "-path",
    "*/node_modules/*",
    "-prune",
    "-o",
    "-path",
    "*/.cache/*",
    "-prune",
    "-o",
  ];
  const { stdout } = spawnSync("find", [
    ...there,
    "-xdev",
    ...skip,
    "-newer",
    stamp,
    "-iname",
    "*fuzz*",
    "-print",
  ]);
  return `${stdout}`.split("\n").filter((line) => line && !line.includes("fuzz.test"));
}

test("in this process, on the test driver", { timeout: slow(240_000) }, async () => {
  const router = createRouter(functions);
  const codes = new Map<string, number>();
  let count = 0;
  const known: Known = {
    domain: ["test", "fuzz-clone"],
    network: ["default", "fuzz-net"],
    pool: ["default-pool"],
    volume: ["fuzz-vol"],
    source_volume: ["fuzz-vol"],
    snapshot_name: ["fuzz-snap"],
    source_path: ["/var/lib/libvirt/images/fuzz.img"],
    export_path: ["/var/lib/libvirt/images/fuzz"],
  };
  const one = async (made: Made) => {
    count++;
    const { method, headers, body } = made;
    const request = new Request(`http://localhost${made.path}?${made.query}`, {
      method,
      headers,
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const answer = await router.fetch(request);
    const type = answer.headers.get("Content-Type") ?? "";
    tally(codes, judge(made, answer.status, type, await answer.text()));
  };
  const here = functions.filter(({ path }) => path !== "/docs"); // vitest imports no text
  const several = async (all: Made[]) => {
    if (count % FRESH === 0) await closeHypervisors(); // what the test driver has, dies with it
    await Promise.all(all.map(one));
  };
  await fc.assert(fc.asyncProperty(any(known, here), several), {
    numRuns: IN_PROCESS / AT_ONCE,
    seed: SEED,
    endOnFailure: true,
  });
  report("test driver", count, codes);
  expect(count).toBeGreaterThanOrEqual(IN_PROCESS);
  // not only refusals
  const refused = (codes.get("invalid_input") ?? 0) + (codes.get("payload_too_large") ?? 0);
  expect(refused).toBeLessThan(count * 0.8);
  expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  await closeHypervisors();
});

test("over HTTP, on libvirtd and QEMU", { timeout: slow(300_000) }, async () => {
  const real = guarded("limits.rate = 100000");
  const server = await startServer(real.env);
  const codes = new Map<string, number>();
  const known: Known = {
    domain: ["fuzz-a", "fuzz-b"],
    network: ["fuzz-net"],
    pool: ["default"],
    volume: ["fuzz-vol.qcow2"],
    source_volume: ["fuzz-vol.qcow2"],
    snapshot_name: ["fuzz-snap"],
    source_path: ["/var/lib/libvirt/images/fuzz.raw", "/etc/passwd"],
    export_path: ["/var/lib/libvirt/images/fuzz"],
    files: ["/var/lib/libvirt/images/fuzz-file.qcow2"],
    bridge: ["fuzzbr0"],
  };
  let count = 0;
  const one = async (made: Made) => {
    count++;
    const { method, headers, body } = made;
    const answer = await fetch(`${server.url}${made.path}?${made.query}`, {
      method,
      headers,
      body,
      signal: AbortSignal.timeout(PATIENCE_MS),
    }).catch((error) => {
      if (error.name !== "TimeoutError") throw error;
    });
    if (!answer) return tally(codes, "given up");
    const text = await answer.text();
    // more than Bun's own 16 KB of headers: not ours to answer
    if (answer.status === 431 && text === "") return tally(codes, "431 of Bun");
    const type = answer.headers.get("Content-Type") ?? "";
    tally(codes, judge(made, answer.status, type, text));
    expect(answer.headers.get("X-Request-Id")).toMatch(/./);
  };
  try {
    const several = async (all: Made[]) => {
      if (count % FRESH === 0) await world();
      await Promise.all(all.map(one));
    };
    await fc.assert(fc.asyncProperty(any(known), several), {
      numRuns: OVER_HTTP / AT_ONCE,
      seed: SEED,
      endOnFailure: true,
    });
    report("QEMU", count, codes);
    expect(count).toBeGreaterThanOrEqual(OVER_HTTP);
    // sessions, the private database, and who listens for the alert rules that were made
    const own = /^virsh |\/postgres |hypersdk listens/;
    const others = () => programsOf(server.pid).filter((argv) => !own.test(argv));
    const ended = until("refused calls' programs end", () => others().length === 0, 20);
    await ended.catch((error) => {
      throw new Error(`${error.message}: ${others().join("\n")}`);
    });
    const errors = server
      .log()
      .split("\n")
      .filter((line) => line.includes(`"level":50`));
    expect(errors).toEqual([]);
    const lines = real.audited();
    expect(lines.length).toBeGreaterThan(OVER_HTTP / 10);
    const rooms =
      /^\/(libvirt|console|jobs|schedules|import|convert|workflow|config|notifications|webhooks|alert-rules|vms|tags|collections|searches|hosts|vcenter|migration)\//;
    for (const { function: path } of lines) expect(path).toMatch(rooms);
    const names = [
      ...(await virsh("list", "--all", "--name")).split("\n"),
      ...(await networkNames()),
      ...(await virsh("pool-list", "--all", "--name")).split("\n"),
    ].filter((name) => name.trim() !== "" && name.trim() !== "default");
    expect(
      names.filter((name) => !/^(fuzz|(1|007|__proto__|constructor)(-\d+)?$)/.test(name)),
    ).toEqual([]);
  } finally {
    await server.stop();
    real.remove();
    await world();
    await clean();
  }
});

test("nothing was made elsewhere, and nothing was run", () => {
  expect(existsSync(CANARY)).toBe(false);
  expect(strays()).toEqual([]);
  expect(processes("virsh")).toEqual([]);
  for (const program of ["scrub", "qemu-img", "touch"]) expect(processes(program)).toEqual([]);
});

/** Two domains, one with a disk and running, a network and a volume; nothing else. */
async function world() {
  for (const id of (await virsh("list", "--uuid")).split("\n").filter(Boolean))
    await virsh("destroy", "--domain", id);
  for (const id of (await virsh("list", "--all", "--uuid")).split("\n").filter(Boolean)) {
    await virsh("undefine", "--domain", id, "--nvram", "--managed-save", "--snapshots-metadata");
  }
  await clean();
  spawnSync("sh", ["-c", "rm -rf /var/lib/libvirt/images/* && virsh -q pool-refresh default"]);
  await virsh("vol-create-as", "default", "fuzz-vol.qcow2", "1M", "--format", "qcow2");
  spawnSync("truncate", ["-s", "1M", "/var/lib/libvirt/images/fuzz.raw"]);
  await virsh("pool-refresh", "default");
  await defineDomain("fuzz-a");
  await defineDomain("fuzz-b");
  await virsh(
    "attach-disk",
    "fuzz-b",
    "/var/lib/libvirt/images/fuzz-vol.qcow2",
    "vda",
    "--config",
    "--subdriver",
    "qcow2",
  );
  await virsh("start", "--domain", "fuzz-a");
  await defineNetwork("fuzz-net");
}

/** The programs that a process has started and that still run. */
function programsOf(parent: number): string[] {
  const { stdout } = spawnSync("ps", ["-o", "args=", "--ppid", `${parent}`]);
  return `${stdout}`.split("\n").filter((line) => line.trim() !== "");
}

function report(where: string, count: number, codes: Map<string, number>) {
  const sorted = [...codes].sort(([, a], [, b]) => b - a);
  console.log(
    `${where}: ${count} requests, seed ${SEED}: ${sorted.map(([code, n]) => `${code} ${n}`).join(", ")}`,
  );
}
