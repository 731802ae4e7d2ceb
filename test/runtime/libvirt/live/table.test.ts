/** The table of a hypervisor's domains: what counts as a change, what a domain does in a second, and the last hour. */
import { describe, expect, test } from "vitest";
import { Series, STEP_SECONDS, STEPS } from "../../../../runtime/libvirt/live/series.ts";
import { Table } from "../../../../runtime/libvirt/live/table.ts";

const listed = (name: string, state = "running", uuid = name) => ({
  ...{ name, uuid, state, persistent: true, autostart: false },
  ...{ managed_save: false, snapshots: false },
});
const none = { cpu_time_ns: null, user_time_ns: null, system_time_ns: null };
const stats = (name: string, bytes: number, usage_percent = 12.34) => ({
  ...{ name, state: "running", reasons: {} },
  cpu: { ...none, vcpus: 2, usage_percent },
  memory: {
    ...{ total_kb: 1024, used_kb: 512, available_kb: 512, usage_percent: 50 },
    ...{ swap_in_kb: null, swap_out_kb: null },
  },
  disks: ["vda", "vdb"].map((device) => ({
    ...{ device, read_bytes: bytes, read_requests: 0, write_bytes: 0, write_requests: 0 },
    errors: null,
  })),
  networks: [],
});

describe("the list", () => {
  test("what came, changed and went, and nothing else", () => {
    const table = new Table();
    expect(table.list([listed("a"), listed("b")])).toEqual({ changed: ["a", "b"], gone: [] });
    expect(table.list([listed("a"), listed("b")])).toEqual({ changed: [], gone: [] });
    expect(table.list([listed("a", "paused")])).toEqual({ changed: ["a"], gone: ["b"] });
  });

  test("another domain of the same name has nothing of the first", () => {
    const table = new Table();
    table.list([listed("a")]);
    table.measure([stats("a", 0)]);
    table.list([listed("a", "running", "other")]);
    expect(table.rows.get("a")).toMatchObject({ cpu_percent: null, uuid: "other" });
    expect(table.seriesOf("a")).toBeUndefined();
  });

  test("a domain that goes off keeps its hour, and measures nothing", () => {
    const table = new Table();
    table.list([listed("a")]);
    table.measure([stats("a", 0)]);
    table.list([listed("a", "shut off")]);
    expect(table.rows.get("a")).toMatchObject({ cpu_percent: null, memory_kb: null });
    expect(table.seriesOf("a")).toBeDefined();
  });
});

describe("measurements", () => {
  test("rates are between two readings; a counter that went back is another run's", () => {
    const table = new Table();
    table.list([listed("a")]);
    const at = (s: number) => ({ at: s * 1000, ms: s * 1000 });
    expect(table.measure([stats("a", 1000)], at(1))).toEqual(["a"]);
    expect(table.rows.get("a")).toMatchObject({ cpu_percent: 12.3, disk_read: null, net_rx: null });
    table.measure([stats("a", 3000)], at(3));
    expect(table.rows.get("a")).toMatchObject({ disk_read: 2000, disk_write: 0 });
    table.measure([stats("a", 10)], at(5));
    expect(table.rows.get("a")?.disk_read).toBeNull();
    table.pause();
    table.measure([stats("a", 900)], at(900));
    expect(table.rows.get("a")?.disk_read).toBeNull();
  });

  test("the same again is no change, and a domain that is not listed waits", () => {
    const table = new Table();
    table.list([listed("a")]);
    const at = (s: number) => ({ at: s * 1000, ms: s * 1000 });
    table.measure([stats("a", 0)], at(1));
    table.measure([stats("a", 0)], at(3));
    expect(table.measure([stats("a", 0), stats("new", 0)], at(5))).toEqual([]);
    expect(table.rows.has("new")).toBe(false);
  });

  test("after an hour nothing of it is left", () => {
    const table = new Table();
    table.list([listed("a")]);
    table.measure([stats("a", 0)], { at: 0, ms: 10_000_000 });
    expect(table.expire(10_000_000 + 3_500_000)).toBe(false);
    expect(table.expire(10_000_000 + 3_620_000)).toBe(true);
    expect(table.seriesOf("a")).toBeUndefined();
  });
});

describe("a series", () => {
  const measured = (cpu_percent: number | null) => ({
    ...{ vcpus: 1, cpu_percent, memory_kb: 1, memory_percent: null },
    ...{ disk_read: 1, disk_write: 1, net_rx: 1, net_tx: 1 },
  });
  const step = (n: number) => (1_000_000 + n) * STEP_SECONDS * 1000;

  test("one value a step, null where nobody looked, and an hour at most", () => {
    const series = new Series();
    series.add(measured(1), step(0));
    series.add(measured(5), step(1));
    series.add(measured(7), step(1) + 2000);
    series.add(measured(null), step(2));
    series.add(measured(9), step(4));
    expect(series.read("cpu_percent", step(4), 6)).toEqual([null, 1, 7, null, null, 9]);
    expect(series.read("memory_percent", step(4), 1)).toEqual([null]);
    expect(series.read("cpu_percent", step(4))).toHaveLength(STEPS);
    expect(series.read("cpu_percent", step(STEPS))[0]).toBe(7);
    expect(series.read("cpu_percent", step(5 + STEPS)).every((one) => one === null)).toBe(true);
  });
});
