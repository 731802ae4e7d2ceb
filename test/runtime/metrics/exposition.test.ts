/** The text of an answer: whose samples are in it, and that any name can be. */
import { Gauge, Registry } from "prom-client";
import { describe, expect, test } from "vitest";
import { log } from "../../../runtime/core/log.ts";
import type { Context } from "../../../runtime/hypervisor/context.ts";
import { exposition, metricsText } from "../../../runtime/metrics/exposition.ts";
import { METRICS } from "../../../runtime/metrics/names.ts";
import { readExposition } from "../../fixtures/exposition.ts";
import { answering } from "../../fixtures/fake.ts";

describe("the text", () => {
  test("help, type and samples of each metric together", () => {
    const text = exposition([
      { name: "libvirt_domain_info_vstate", labels: { domain: "a" }, value: 1 },
      { name: "libvirt_up", labels: {}, value: 1 },
      { name: "libvirt_domain_info_cpu_time_seconds_total", labels: { domain: "a" }, value: 0 },
      { name: "libvirt_domain_info_vstate", labels: { domain: "b" }, value: 5 },
    ]);
    expect(text.split("\n").filter((line) => line && !line.startsWith("# HELP"))).toEqual([
      "# TYPE libvirt_domain_info_vstate gauge",
      'libvirt_domain_info_vstate{domain="a"} 1',
      'libvirt_domain_info_vstate{domain="b"} 5',
      "# TYPE libvirt_up gauge",
      "libvirt_up 1",
      "# TYPE libvirt_domain_info_cpu_time_seconds_total counter",
      'libvirt_domain_info_cpu_time_seconds_total{domain="a"} 0',
    ]);
    expect(exposition([])).toBe("\n");
  });

  test.each([
    "it's",
    '"quoted" \\ back\\\\slash',
    "two\nlines",
    'x",domain="y"} 7',
    "a,target_device:vda",
    "# HELP libvirt_up",
    "漢🙂",
    "__proto__",
    "constructor",
  ])("a domain named %j", (domain) => {
    const text = exposition([
      { name: "libvirt_domain_info_vstate", labels: { domain }, value: 3 },
      { name: "libvirt_domain_info_virtual_cpus", labels: { domain }, value: 2 },
    ]);
    expect(readExposition(text)).toEqual([
      { name: "libvirt_domain_info_vstate", labels: { domain }, value: 3 },
      { name: "libvirt_domain_info_virtual_cpus", labels: { domain }, value: 2 },
    ]);
  });

  test("to the byte as prom-client writes it", async () => {
    const name = "libvirt_domain_info";
    const { help, labels: labelNames } = METRICS[name];
    const registry = new Registry();
    const gauge = new Gauge({ name, help, labelNames, registers: [registry] });
    const samples = ['a"\\\n', "", "b", "b"].map((domain, i) => ({
      ...{ name: name as typeof name, value: i / 3 },
      labels: { domain, os_type: "hvm", os_type_arch: "" },
    }));
    for (const { labels, value } of samples) gauge.set(labels, value);
    expect(exposition(samples)).toBe(await registry.metrics());
  });

  test("numbers as they are", () => {
    const numbers = [0, 0.1 + 0.2, 2 ** 53 + 2, 9.223372036854775e18, 1e-9, 1795472134];
    const samples = numbers.map((value, i) => ({
      name: "libvirt_domain_info_vstate" as const,
      labels: { domain: `${i}` },
      value,
    }));
    expect(readExposition(exposition(samples)).map(({ value }) => value)).toEqual(numbers);
  });
});

describe("whose samples", () => {
  /** Each with one domain of the same name. */
  function context(requestedHosts?: string | string[]): Context {
    const forHost = (host: string): Context => {
      const { virsh } = answering((verb) => {
        if (verb === "list") return "14fdde5a-ada0-43cf-8a9b-585240f51a4f - same\n";
        if (verb === "domstats") return "Domain: 'same'\n  state.state=5\n\n";
        if (verb === "dumpxml")
          return "<domain><name>same</name><os><type>hvm</type></os></domain>";
        return "";
      });
      const { signal } = new AbortController();
      return { host, requestedHosts, virsh, forHost, signal, log } as unknown as Context;
    };
    return forHost("local");
  }
  const names = async (asked?: string | string[]) => {
    const samples = readExposition(await metricsText(context(asked)));
    return samples.map(({ name, labels: { host } }) => ({ name, host }));
  };
  const own = (list: { name: string }[]) => list.filter(({ name }) => !name.startsWith("libvirt_"));

  test("nothing named: this server's own, and the default hypervisor's without a label for it", async () => {
    const found = await names();
    expect(own(found)).toContainEqual({ name: "hypersdk_build_info", host: undefined });
    expect(found).toContainEqual({ name: "libvirt_domain_info_vstate", host: undefined });
  });

  test("one named: its own alone", async () => {
    const found = await names("kvm1");
    expect(own(found)).toEqual([]);
    expect(found).toContainEqual({ name: "libvirt_domain_info_vstate", host: undefined });
  });

  test("several named, or a list of one: each sample says whose it is, and none is lost", async () => {
    const found = await names(["kvm1", "kvm2"]);
    expect(own(found)).toEqual([]);
    for (const name of ["libvirt_up", "libvirt_domain_info_vstate"]) {
      expect(found.filter((one) => one.name === name)).toEqual([
        { name, host: "kvm1" },
        { name, host: "kvm2" },
      ]);
    }
    expect((await names(["kvm1"])).every(({ host }) => host === "kvm1")).toBe(true);
    expect(await names([])).toEqual([]);
  });
});
