/** One hypervisor's samples: complete where it answers, bounded in time where it does not, and never a lie. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../runtime/core/errors.ts";
import type { Context, Virsh } from "../../../runtime/hypervisor/context.ts";
import type { Outcome } from "../../../runtime/hypervisor/outcomes.ts";
import type { Arg } from "../../../runtime/hypervisor/text-arguments.ts";
import type { Sample } from "../../../runtime/metrics/names.ts";
import { hypervisorSamples } from "../../../runtime/metrics/scrape-host.ts";
import "../../fixtures/fake.ts";
import { log } from "../../../runtime/core/log.ts";
import { slow } from "../../fixtures/slowness.ts";

const recorded = (name: string) =>
  readFileSync(join(import.meta.dirname, "recorded", name), "utf8");
const [DOMSTATS, XML, VCPUINFO] = ["domstats.txt", "domain.xml", "vcpuinfo.txt"].map(recorded);

type Answer = Outcome | Promise<Outcome>;
type Answers = Record<string, (...words: string[]) => Answer>;

const UUID = "14fdde5a-ada0-43cf-8a9b-585240f51a4f";
const LIST = `${UUID} 1 g 1\n22222222-ada0-43cf-8a9b-585240f51a4f - it's off\n`;
const named = (text: string | undefined, name: string) => `${text}`.replace("g 1", name);
const isOff = (words: string[]) => words.some((word) => /^(22222222|--list-inactive)/.test(word));

/** What a healthy one with two domains and two pools says. */
const HEALTHY: Answers = {
  list: () => LIST,
  domstats: (...words) =>
    isOff(words)
      ? "Domain: 'it's off'\n  state.state=5\n  vcpu.current=3\n  balloon.maximum=4\n\n"
      : `${DOMSTATS}`,
  dumpxml: (...words) => named(XML, isOff(words) ? "it&apos;s off" : "g 1"),
  vcpuinfo: () => `${VCPUINFO}`,
  domjobinfo: () => "Job type: 0\n\n",
  version: () =>
    "Using library: libvirt 9.0.0\nUsing API: QEMU 9.0.0\nRunning hypervisor: QEMU 7.2.22\nRunning against daemon: 9.0.0\n",
  "pool-list": () => "p-1\np-2\n",
  "pool-name": (_option, uuid) => (uuid === "p-1" ? "default\n" : " two words \n"),
  "pool-info": (_option, uuid) =>
    uuid === "p-1"
      ? "Name: default\nState: running\nCapacity: 1000\nAllocation: 400\nAvailable: 600\n"
      : "Name: x\nState: inactive\n",
};

/** Milliseconds. */
const SHORT = { reach: 100, rest: 100 };
const never = new Promise<never>(() => {});

/** Cut off when the signal says so or the time is over, as a session is. */
function cutOff(answer: Answer, timeout?: number, signal?: AbortSignal, onCut = () => {}) {
  return new Promise<Outcome>((resolve, reject) => {
    Promise.resolve(answer).then(resolve, reject);
    const fail = (code: "timed_out" | "cancelled") => reject(new HyperError(code, code));
    signal?.addEventListener("abort", () => {
      onCut();
      fail("cancelled");
    });
    if (timeout) setTimeout(() => fail("timed_out"), timeout);
  });
}

let hosts = 0;
function context(more: Answers = {}) {
  const calls: string[][] = [];
  const cut = Promise.withResolvers<string>();
  const answers = { ...HEALTHY, ...more };
  const one = (command: Arg[]): Answer => {
    const [verb = "", ...words] = command.map(String);
    calls.push([verb, ...words]);
    return answers[verb]?.(...words) ?? new HyperError("unsupported", verb);
  };
  const each: Virsh["settled"] = (commands, { timeout, signal } = {}) =>
    Promise.all(
      commands.map((command) =>
        cutOff(one(command), timeout, signal, () => cut.resolve(`${command[0]}`)),
      ),
    );
  const unwrap = (outcome: Outcome | undefined) => {
    if (outcome instanceof HyperError) throw outcome;
    return `${outcome}`;
  };
  const virsh: Virsh = async (command, options) => unwrap((await each([command], options))[0]);
  virsh.settled = each;
  virsh.all = async (commands, options) => (await each(commands, options)).map(unwrap);
  virsh.oneShot = virsh;
  const { signal } = new AbortController();
  const ctx = { host: `host ${++hosts}`, virsh, signal, log } as unknown as Context;
  return { ctx, calls, cut };
}

const values = (samples: Sample[], name: string) =>
  samples
    .filter((one) => one.name === name)
    .map(({ labels, value }) => [...Object.values(labels), value]);
const namesOf = (samples: Sample[]) => [...new Set(samples.map(({ name }) => name))];

describe("a hypervisor that answers", async () => {
  const { ctx, calls } = context();
  const samples = await hypervisorSamples(ctx);

  test("it is up, with all its domains", () => {
    expect(values(samples, "libvirt_up")).toEqual([[1]]);
    expect(values(samples, "libvirt_domains")).toEqual([[2]]);
    expect(values(samples, "libvirt_domain_info_vstate")).toEqual([
      ["g 1", 1],
      ["it's off", 5],
    ]);
  });

  test("one domain's samples are of all kinds", () => {
    expect(values(samples, "libvirt_domain_timed_out")).toEqual([["g 1", 0]]);
    for (const name of [
      "libvirt_domain_block_stats_read_bytes_total",
      "libvirt_domain_memory_stats_rss_bytes",
      "libvirt_domain_vcpu_cpu",
      "libvirt_domain_block_meta",
      "libvirt_domain_interface_stats_info",
      "libvirt_domain_job_info_type",
    ]) {
      expect(namesOf(samples)).toContain(name);
    }
  });

  test("a domain that is off has only what it is", () => {
    const off = samples.filter(({ labels }) => labels.domain === "it's off");
    expect(namesOf(off)).toEqual([
      "libvirt_domain_info_state",
      "libvirt_domain_info_vstate",
      "libvirt_domain_info_maximum_memory_bytes",
      "libvirt_domain_info_virtual_cpus",
      "libvirt_domain_info",
      "libvirt_domain_openstack_info",
      "libvirt_domain_info_meta",
    ]);
  });

  test("its pools, by their exact names; one that is off has no size", () => {
    expect(values(samples, "libvirt_storage_pool_state")).toEqual([
      ["default", 2],
      [" two words ", 0],
    ]);
    expect(values(samples, "libvirt_storage_pool_timed_out")).toEqual([
      ["default", 0],
      [" two words ", 0],
    ]);
    for (const metric of ["libvirt_storage_pool", "libvirt_pool_info"]) {
      expect(values(samples, `${metric}_capacity_bytes`)).toEqual([["default", 1000]]);
      expect(values(samples, `${metric}_allocation_bytes`)).toEqual([["default", 400]]);
      expect(values(samples, `${metric}_available_bytes`)).toEqual([["default", 600]]);
    }
  });

  test("its versions", () => {
    expect(values(samples, "libvirt_versions_info")).toEqual([["7.2.22", "9.0.0", "9.0.0", 1]]);
  });

  test("one domstats for those that run, one for those that are off, which opens no image", () => {
    const asked = calls.filter(([verb]) => verb === "domstats");
    expect(asked).toHaveLength(2);
    expect(asked.find(isOff)).not.toContain("--block");
    expect(calls.filter(([verb]) => verb === "dumpxml")).toHaveLength(2);
  });

  test("no sample is there twice", () => {
    const series = samples.map(({ name, labels }) =>
      JSON.stringify([name, Object.entries(labels).sort()]),
    );
    expect(new Set(series).size).toBe(series.length);
  });
});

test("a job: its type, and what is known of it", async () => {
  const { ctx } = context({
    domjobinfo: () =>
      "Job type: 2\n\noperation: 8\ntime_elapsed: 291\nmemory_total: 500\nmemory_processed: 200\nmemory_remaining: 300\ndisk_total: 7\n\n",
  });
  const samples = await hypervisorSamples(ctx);
  const jobs = samples.filter(({ name }) => name.includes("_job_info_"));
  expect(
    jobs.map(({ name, value }) => [name.replace("libvirt_domain_job_info_", ""), value]),
  ).toEqual([
    ["type", 2],
    ["time_elapsed_seconds", 0.291],
    ["memory_total_bytes", 500],
    ["memory_processed_bytes", 200],
    ["memory_remaining_bytes", 300],
    ["file_total_bytes", 7],
  ]);
});

describe("a hypervisor that does not answer", () => {
  const down = [{ name: "libvirt_up", labels: {}, value: 0 }];
  const lost = () => new HyperError("unreachable", "hypervisor: gone");

  test("it refuses, or is cut off in the middle: down, and nothing else", async () => {
    expect(await hypervisorSamples(context({ list: lost }).ctx)).toEqual(down);
    expect(await hypervisorSamples(context({ domstats: lost }).ctx)).toEqual(down);
  });

  test("it says nothing: down when the time is over, and its command has been cut off", async () => {
    const began = performance.now();
    const { ctx, cut } = context({ list: () => never });
    expect(await hypervisorSamples(ctx, SHORT)).toEqual(down);
    expect(performance.now() - began).toBeLessThan(slow(1000));
    expect(await cut.promise).toBe("list");
  });

  test("the caller has gone: nothing goes on", async () => {
    const gone = new AbortController();
    const { ctx } = context({ list: () => never });
    const samples = hypervisorSamples({ ...ctx, signal: gone.signal });
    gone.abort();
    expect(await samples).toEqual(down);
  });
});

describe("a hypervisor of which a part is late or missing", () => {
  const late = (verb: string) => hypervisorSamples(context({ [verb]: () => never }).ctx, SHORT);
  const isUp = (samples: Sample[]) => expect(values(samples, "libvirt_up")).toEqual([[1]]);

  test("statistics: the domain has timed out; what it is is known", async () => {
    const samples = await hypervisorSamples(
      context({ domstats: (...words) => (isOff(words) ? "" : never) }).ctx,
      SHORT,
    );
    isUp(samples);
    expect(values(samples, "libvirt_domain_timed_out")).toEqual([["g 1", 1]]);
    expect(namesOf(samples)).toContain("libvirt_domain_info");
    expect(namesOf(samples).filter((name) => /memory|vcpu_time|job/.test(name))).toEqual([]);
  });

  test("definitions, jobs, versions: the statistics are there", async () => {
    for (const [verb, missing] of [
      ["dumpxml", "libvirt_domain_info"],
      ["vcpuinfo", "libvirt_domain_vcpu_cpu"],
      ["domjobinfo", "libvirt_domain_job_info_type"],
      ["version", "libvirt_versions_info"],
      ["pool-list", "libvirt_storage_pool_state"],
    ] as const) {
      const samples = await late(verb);
      isUp(samples);
      expect(values(samples, "libvirt_domain_timed_out"), verb).toEqual([["g 1", 0]]);
      expect(namesOf(samples)).toContain("libvirt_domain_info_cpu_time_seconds_total");
      expect(namesOf(samples), verb).not.toContain(missing);
    }
  });

  test("no session became free for the statistics: late, not down", async () => {
    const busy = () => new HyperError("busy", "the hypervisor was busy for 1.2 s");
    const samples = await hypervisorSamples(context({ domstats: busy }).ctx);
    isUp(samples);
    expect(values(samples, "libvirt_domain_timed_out")).toEqual([["g 1", 1]]);
  });

  test("one pool of two: it alone has timed out", async () => {
    const { ctx } = context({
      "pool-info": (...words) =>
        words.includes("p-2")
          ? new HyperError("timed_out", "late")
          : `${HEALTHY["pool-info"]?.(...words)}`,
    });
    const samples = await hypervisorSamples(ctx);
    expect(values(samples, "libvirt_storage_pool_timed_out")).toEqual([
      ["default", 0],
      [" two words ", 1],
    ]);
    expect(values(samples, "libvirt_storage_pool_state")).toEqual([["default", 2]]);
  });

  test("a driver without storage, jobs and vcpuinfo", async () => {
    const unsupported = () => new HyperError("unsupported", "this function is not supported");
    const answers = { "pool-list": unsupported, domjobinfo: unsupported, vcpuinfo: unsupported };
    const samples = await hypervisorSamples(context(answers).ctx);
    isUp(samples);
    expect(values(samples, "libvirt_domain_timed_out")).toEqual([["g 1", 0]]);
    expect(namesOf(samples).filter((name) => /pool|job|vcpu_cpu/.test(name))).toEqual([]);
  });

  test("a domain that has just stopped: nothing of it", async () => {
    const gone = () => new HyperError("not_found", "failed to get domain '1'");
    const answers = { domstats: gone, dumpxml: gone, vcpuinfo: gone, domjobinfo: gone };
    const samples = await hypervisorSamples(context(answers).ctx);
    isUp(samples);
    expect(samples.filter(({ labels }) => labels.domain)).toEqual([]);
  });
});

test("a hundred domains: reads in turns, never more than two at a time", async () => {
  const rows = Array.from({ length: 100 }, (_, i) => `${UUID} ${i + 1} vm ${i}\n`).join("");
  const { ctx } = context({
    list: () => rows,
    domstats: (...words) =>
      words
        .flatMap((word, i) =>
          words[i - 1] === "--domain"
            ? [`Domain: 'vm ${Number(word) - 1}'\n  state.state=1\n\n`]
            : [],
        )
        .join(""),
    dumpxml: (_option, id) => named(XML, `vm ${Number(id) - 1}`),
  });
  let now = 0;
  let most = 0;
  const { settled } = ctx.virsh;
  ctx.virsh.settled = async (commands, options) => {
    const reads = commands[0]?.[0] === "dumpxml";
    expect(commands.length).toBeLessThanOrEqual(reads ? 16 : 50);
    if (reads) most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (reads) now--;
    return settled(commands, options);
  };
  const samples = await hypervisorSamples(ctx);
  expect(values(samples, "libvirt_domain_timed_out")).toEqual(
    Array.from({ length: 100 }, (_, i) => [`vm ${i}`, 0]),
  );
  expect(values(samples, "libvirt_domain_info")).toHaveLength(100);
  expect(most).toBe(2);
});
