/** GET /libvirt/stats and the five below it: which groups of `domstats` each asks for, and about whom. */
import { afterEach, describe, expect, test, vi } from "vitest";
import all from "../../../../functions/libvirt/stats/all.ts";
import cpu from "../../../../functions/libvirt/stats/cpu.ts";
import disk from "../../../../functions/libvirt/stats/disk.ts";
import memory from "../../../../functions/libvirt/stats/memory.ts";
import network from "../../../../functions/libvirt/stats/network.ts";
import stats from "../../../../functions/libvirt/stats.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { answering } from "../../../fixtures/fake.ts";

const BASE = ["--state", "--interface"];
const EVERY = [...BASE, "--cpu-total", "--vcpu", "--balloon", "--block"];
const UUID = "11111111-1111-4111-8111-11111111111";
const running = (name: string) => `Domain: '${name}'\n  state.state=1\n  vcpu.current=1\n\n`;
let hosts = 0;
const host = () => `host ${hosts++}`;

const SINGLE = [
  ["stats", stats, EVERY],
  ["stats/cpu", cpu, [...BASE, "--cpu-total", "--vcpu"]],
  ["stats/memory", memory, [...BASE, "--balloon"]],
  ["stats/disk", disk, [...BASE, "--block"]],
  ["stats/network", network, BASE],
] as const;

describe.each(SINGLE)("%s", (path, show, groups) => {
  test("one command, the groups that it needs", async () => {
    const fake = answering(() => running("it's"));
    expect(await show({ name: "it's" }, { ...fake, host: host() })).toMatchObject({
      name: "it's",
      state: "running",
    });
    // for samples of CPU time it matters which run of the domain they are of
    const run = path === "stats" || path === "stats/cpu" ? [["domid", "--domain", "it's"]] : [];
    expect(fake.calls).toEqual([...run, ["domstats", ...groups, "--domain", "it's"]]);
  });

  test("a name that could be an ID is looked up", async () => {
    const fake = answering((verb) =>
      verb === "list" ? `${UUID}1 other\n${UUID}2 42\n` : running("42"),
    );
    expect((await show({ name: "42" }, { ...fake, host: host() })).name).toBe("42");
    expect(fake.calls.at(-1)?.slice(-2)).toEqual(["--domain", `${UUID}2`]);
  });

  test("a domain that does not exist", async () => {
    const fake = answering(() => new HyperError("not_found", "domain 'x' not found"));
    const call = show({ name: "x" }, { ...fake, host: host() });
    await expect(call).rejects.toMatchObject({ code: "not_found" });
  });

  test("a missing name, and one too many", async () => {
    for (const input of [{}, { name: "" }, { name: "a/b" }, { name: "vm", all: "yes" }])
      await expect(show(input as never)).rejects.toMatchObject({ code: "invalid_input" });
  });
});

describe("stats/all", () => {
  const names = ["42", "it's", " a  b"];
  /** A hypervisor where these run, with this many vCPUs and IDs from `first` on. */
  function running(state: { vcpus: number; first: number; stuck?: string }) {
    const rows = () => names.map((name, i) => `${UUID}${i} ${state.first + i} ${name}\n`).join("");
    const fake = answering((verb, ...words) => {
      if (verb === "list") return rows();
      if (verb === "domcontrol")
        return words.includes(state.stuck ?? "") ? "occupied (9.0s)\n" : "ok\n";
      const asked = words.filter((_, i) => words[i - 1] === "--domain");
      if (words.includes("--block") && asked.includes(state.stuck ?? ""))
        return new HyperError("timed_out", "no answer within 1.2 s");
      return asked
        .map((id) => {
          const vcpus = words.includes("--vcpu") ? `  vcpu.current=${state.vcpus}\n` : "";
          return `Domain: '${names[Number(id) - state.first]}'\n  state.state=1\n${vcpus}\n`;
        })
        .join("");
    });
    const at = { ...fake, host: host() };
    const vcpus = async () => {
      const { domains } = await all({}, at);
      return domains.map(({ cpu }) => cpu.vcpus);
    };
    /** The IDs that were asked for their vCPUs since the last time. */
    const asked = () =>
      fake.calls
        .splice(0)
        .filter((words) => words.includes("--vcpu"))
        .flatMap((words) => words.filter((_, i) => words[i - 1] === "--domain"));
    return { ...fake, at, vcpus, asked };
  }
  afterEach(() => vi.restoreAllMocks());

  test("the running ones, by their IDs, in virsh's order", async () => {
    const fake = running({ vcpus: 1, first: 7 });
    const { domains, total } = await all({}, fake.at);
    expect([domains.map(({ name }) => name), total]).toEqual([names, 3]);
    expect(fake.calls[0]).toEqual(["list", "--uuid", "--id", "--name", "--state-running"]);
    expect(fake.calls.slice(1)).toEqual(
      ["7", "8", "9"].map((id) => ["domstats", ...EVERY, "--domain", id]),
    );
  });

  test("a number of vCPUs is remembered for ten seconds", async () => {
    let now = 1_000_000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const state = { vcpus: 2, first: 7 };
    const { vcpus, asked } = running(state);
    expect(await vcpus()).toEqual([2, 2, 2]);
    expect(asked()).toEqual(["7", "8", "9"]);
    state.vcpus = 3;
    now += 10_000;
    expect(await vcpus()).toEqual([2, 2, 2]);
    expect(asked()).toEqual([]);
    now += 1;
    expect(await vcpus()).toEqual([3, 3, 3]);
    expect(asked()).toEqual(["7", "8", "9"]);
  });

  test("so is the memory of a guest that does not tell, not of one that does", async () => {
    let now = 1_000_000;
    vi.spyOn(performance, "now").mockImplementation(() => now);
    const given = { mute: 1000, tells: 5000 };
    const asked: string[] = [];
    const fake = answering((verb, ...words) => {
      if (verb === "list") return `${UUID}1 1 mute\n${UUID}2 2 tells\n`;
      const name = words.at(-1) === "1" ? "mute" : "tells";
      const told = name === "mute" ? "" : "  balloon.available=4000\n  balloon.usable=3000\n";
      const balloon = words.includes("--balloon")
        ? `  balloon.current=${given[name]}\n  balloon.last-update=0\n${told}`
        : "";
      if (balloon) asked.push(name);
      return `Domain: '${name}'\n  state.state=1\n  vcpu.current=1\n${balloon}\n`;
    });
    const at = { ...fake, host: host() };
    const memory = async () => {
      const { domains } = await all({}, at);
      return domains.map(({ memory, reasons }) => [memory.total_kb, reasons.memory ?? "told"]);
    };
    const mute = expect.stringMatching(/no balloon driver/);
    expect(await memory()).toEqual([
      [1000, mute],
      [4000, "told"],
    ]);
    given.mute = 2000;
    now += 10_000;
    expect(await memory()).toEqual([
      [1000, mute],
      [4000, "told"],
    ]);
    expect(asked).toEqual(["mute", "tells", "tells"]);
    now += 1;
    expect((await memory())[0]).toEqual([2000, mute]);
  });

  test("but not that of another run, nor of a domain that is new", async () => {
    const state = { vcpus: 2, first: 7 };
    const { vcpus, asked } = running(state);
    await vcpus();
    asked();
    Object.assign(state, { vcpus: 4, first: 9 }); // the ID 9 is another's now
    expect(await vcpus()).toEqual([4, 4, 4]);
    expect(asked()).toEqual(["9", "10", "11"]);
  });

  test("one that does not answer shows none, though it is remembered", async () => {
    const state = { vcpus: 2, first: 7, stuck: "" };
    const { vcpus } = running(state);
    await vcpus();
    state.stuck = "8";
    expect(await vcpus()).toEqual([2, null, 2]);
    state.stuck = "";
    expect(await vcpus()).toEqual([2, 2, 2]);
  });

  test("one alone is always asked", async () => {
    const state = { vcpus: 2, first: 7 };
    const { at, vcpus } = running(state);
    await vcpus();
    state.vcpus = 3;
    for (const show of [stats, cpu]) {
      const fake = answering(() => "Domain: 'it's'\n  state.state=1\n  vcpu.current=3\n\n");
      expect((await show({ name: "it's" }, { ...fake, host: at.host })).cpu.vcpus).toBe(3);
    }
  });

  test("one that stops as it is listed", async () => {
    const fake = answering((verb) =>
      verb === "list" ? `${UUID}0 - gone\n${UUID}1 8 vm\n` : "Domain: 'vm'\n  state.state=1\n\n",
    );
    const { domains } = await all({}, { ...fake, host: host() });
    expect(domains.map(({ name }) => name)).toEqual(["vm"]);
  });

  test("none", async () => {
    const fake = answering(() => "\n");
    expect(await all({}, { ...fake, host: host() })).toEqual({ domains: [], total: 0 });
    expect(fake.verbs()).toEqual(["list"]);
  });
});
