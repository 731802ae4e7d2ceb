/** What the server counts of itself: commands by their lanes and results, requests, SSH connections. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { observer } from "../../../runtime/events/bus.ts";
import { Hypervisor } from "../../../runtime/hypervisor/hypervisor.ts";
import { localTransport } from "../../../runtime/hypervisor/local.ts";
import type { Arg } from "../../../runtime/hypervisor/text-arguments.ts";
import { ownMetrics } from "../../../runtime/metrics/own.ts";
import { readExposition } from "../../fixtures/exposition.ts";
import { fakeVirsh, until } from "../../fixtures/fake.ts";
import { slow } from "../../fixtures/slowness.ts";

const fake = fakeVirsh();
const uri = "qemu:///fake";
const settings = { timeout: 2, sessions: 2, queue: 100, idle: 60 };
const kvm1 = new Hypervisor("kvm1", uri, settings, localTransport(uri));
afterAll(async () => {
  await kvm1.close();
  fake.remove();
});

/** The values of one metric by its labels, such as `kvm1 read success`. */
async function values(name: string) {
  const samples = readExposition(await ownMetrics()).filter((one) => one.name === name);
  return Object.fromEntries(
    samples.map(({ labels, value }) => [Object.values(labels).join(" "), value]),
  );
}
const run = (...commands: Arg[][]) => kvm1.virsh(commands).catch((error) => error);

beforeAll(async () => {
  await run(["dominfo", "print", "abc"]);
  await run(["dominfo", "print", "abc"], ["domid", "print", "7"], ["domid", "error", "no"]);
  await run(["net-start", "print", "yes"]);
  await run(["net-start", "die"]); // the outcome is not known
  await kvm1.oneShot(["vol-wipe", "print", "done"], { timeout: 2000 });
  await kvm1.oneShot(["vol-wipe", "error", "no"], { timeout: 2000 }).catch(() => {});
});

test("commands, by lane and result", async () => {
  expect(await values("hypersdk_virsh_commands_total")).toEqual({
    "kvm1 read success": 3,
    "kvm1 read error": 1,
    "kvm1 change success": 1,
    "kvm1 change error": 1,
    "kvm1 process success": 1,
    "kvm1 process error": 1,
  });
});

test("round trips, and how long they took", async () => {
  expect(await values("hypersdk_virsh_duration_seconds_count")).toEqual({
    "kvm1 read": 2,
    "kvm1 change": 2,
    "kvm1 process": 2,
  });
  const sums = Object.values(await values("hypersdk_virsh_duration_seconds_sum"));
  for (const seconds of sums) expect(seconds).toBeGreaterThan(0);
  for (const seconds of sums) expect(seconds).toBeLessThan(slow(10));
});

test("the sessions of its lanes", () => {
  const lane = (name: string) => kvm1.sessions.find((one) => one.lane === name);
  expect(lane("read")).toEqual({ lane: "read", busy: 0, idle: 1, waiting: 0 });
  expect(lane("stats")).toEqual({ lane: "stats", busy: 0, idle: 0, waiting: 0 });
});

test("sessions at work, and calls that wait for one", async () => {
  const calls = Array.from({ length: 5 }, () => run(["dominfo", "sleep", "300"]));
  await until(() => kvm1.sessions[0]?.waiting === 3);
  expect(kvm1.sessions[0]).toEqual({ lane: "read", busy: 2, idle: 0, waiting: 3 });
  await Promise.all(calls);
  expect(kvm1.sessions[0]).toEqual({ lane: "read", busy: 0, idle: 2, waiting: 0 });
});

test("the test driver has one session for all lanes", () => {
  const sandbox = new Hypervisor(
    "sandbox",
    "test:///default",
    settings,
    localTransport("test:///default"),
  );
  expect(sandbox.sessions).toHaveLength(1);
});

test("requests, by function and status; what is no function is one", async () => {
  observer.request?.("/libvirt/networks", 200, 4);
  observer.request?.("/libvirt/networks", 200, 40);
  observer.request?.("/libvirt/networks", 503, 4000);
  observer.request?.(undefined, 404, 1);
  expect(await values("hypersdk_requests_total")).toEqual({
    "/libvirt/networks 200": 2,
    "/libvirt/networks 503": 1,
    "none 404": 1,
  });
  const buckets = await values("hypersdk_request_duration_seconds_bucket");
  expect(buckets["0.005 /libvirt/networks"]).toBe(1);
  expect(buckets["0.05 /libvirt/networks"]).toBe(2);
  expect(buckets["+Inf /libvirt/networks"]).toBe(3);
});

test("SSH connections, made or not", async () => {
  observer.connection?.("kvm2", true);
  observer.connection?.("kvm2", false);
  observer.connection?.("kvm2", false);
  expect(await values("hypersdk_ssh_connections_total")).toEqual({
    "kvm2 success": 1,
    "kvm2 error": 2,
  });
});

test("the server itself", async () => {
  const [start] = Object.values(await values("process_start_time_seconds"));
  expect(Math.abs(Date.now() / 1000 - process.uptime() - Number(start))).toBeLessThan(5);
  expect(Object.values(await values("process_resident_memory_bytes"))[0]).toBeGreaterThan(1e7);
  const used = () => Object.values(process.cpuUsage()).reduce((sum, one) => sum + one, 0) / 1e6;
  const before = used();
  const [seconds] = Object.values(await values("process_cpu_seconds_total"));
  expect(seconds).toBeGreaterThanOrEqual(before);
  expect(seconds).toBeLessThanOrEqual(used());
});
