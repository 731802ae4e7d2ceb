/** `domstats`: what is read from its text, and that a QEMU that does not answer holds up nobody else. */
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { log } from "../../../../runtime/core/log.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import { domstats, parseDomstats } from "../../../../runtime/libvirt/stats/domstats.ts";
import { answering } from "../../../fixtures/fake.ts";

const NASTY = [
  "plain",
  "it's",
  "'",
  "''quoted''",
  "Domain: 'x'",
  "a=b",
  "  state.state=5",
  " spaces   around ",
  '$(id) `id` "q" \\ ;',
  "ü漢🙂",
  "42",
  "__proto__",
];

describe("the text", () => {
  test.each(NASTY)("of a domain named %j", (name) => {
    const text = `Domain: '${name}'\n  state.state=1\n  block.0.path=/a=b/it's '.img\n  net.0.name=\n\n`;
    const [[found, stats] = [], ...rest] = [...parseDomstats(text, [name])];
    expect([found, rest]).toEqual([name, []]);
    expect(stats?.fields).toEqual({
      "state.state": "1",
      "block.0.path": "/a=b/it's '.img",
      "net.0.name": "",
    });
  });

  test("of many, and of none", () => {
    const text = NASTY.map((name, i) => `Domain: '${name}'\n  n=${i}\n\n`).join("");
    const found = [...parseDomstats(text, NASTY)].map(([name, { fields }]) => [name, fields.n]);
    expect(found).toEqual(NASTY.map((name, i) => [name, `${i}`]));
    expect(parseDomstats("\n", NASTY).size).toBe(0);
  });

  /** libvirt prints a disk's path as it is, line breaks and all. */
  const forged = (name: string) =>
    `Domain: 'liar'\n  n=1\n  block.0.path=/x\nDomain: '${name}'\n  n=2\n\n`;
  const read = (text: string, asked: string[]) =>
    Object.fromEntries(
      [...parseDomstats(text, asked)].map(([name, { fields }]) => [name, fields.n]),
    );

  test("of a name that nobody asked for", () => {
    expect(read(forged("x"), ["liar", "victim"])).toEqual({ liar: "1" });
    expect(read(forged("x"), ["liar"])).toEqual({ liar: "1" });
  });

  test("of a name that comes twice: nobody knows which is true, but for one that was asked alone", () => {
    const victim = "Domain: 'victim'\n  n=3\n\n";
    for (const text of [forged("victim") + victim, victim + forged("victim")])
      expect(read(text, ["liar", "victim"])).toEqual({ liar: "1" });
    expect(read(forged("liar"), ["liar"])).toEqual({ liar: "1" });
  });
});

const ALL = ["--cpu-total", "--vcpu", "--balloon", "--block", "--interface"];
const MONITOR = /^--(cpu-total|vcpu|balloon|block)$/;
const names = (count: number) => Array.from({ length: count }, (_, i) => `vm ${i}`);
const targets = (of: string[]) => of.map((name) => ({ name, ref: `ref of ${name}` }));
let hosts = 0;

/** A hypervisor where some QEMU do not answer: the first call that comes to one hangs there. */
function hypervisor() {
  const state = {
    frozen: new Set<string>(),
    gone: new Set<string>(),
    /** Nobody is stuck, but so many calls take too long. */
    slow: 0,
    says: "occupied (1.205s)",
    /** They are in a job, and answer all the same. */
    jobs: new Set<string>(),
  };
  const held = new Set<string>();
  const fake = answering((verb, ...words) => {
    const asked = words
      .filter((_, i) => words[i - 1] === "--domain")
      .map((ref) => ref.slice("ref of ".length));
    const late = new HyperError("timed_out", "no answer within 1.2 s");
    if (asked.some((name) => state.gone.has(name)))
      return new HyperError("not_found", "failed to get domain");
    if (verb === "domcontrol" && asked.some((name) => state.jobs.has(name)))
      return "background job (60.000s)\n";
    if (verb === "domcontrol")
      return asked.some((name) => held.has(name) && state.frozen.has(name)) ? state.says : "ok\n";
    const monitor = words.some((word) => MONITOR.test(word));
    const stuck = monitor ? asked.find((name) => state.frozen.has(name)) : undefined;
    if (stuck) held.add(stuck);
    if (stuck || (monitor && state.slow-- > 0)) throw late;
    const text = `  state.state=1\n${monitor ? "  cpu.time=1\n" : ""}\n`;
    return asked.map((name) => `Domain: '${name}'\n${text}`).join("");
  });
  const ctx = { host: `host ${hosts++}`, virsh: fake.virsh, log } as Context;
  const ask = async (of: string[], groups = ALL) => {
    const found = await domstats(ctx, targets(of), groups);
    return Object.fromEntries(
      [...found].map(([name, { fields, stuck }]) => {
        if (stuck) expect(fields).toEqual({ "state.state": "1" });
        return [name, stuck ?? (fields["cpu.time"] ? "complete" : "safe")];
      }),
    );
  };
  /** The domains that each call to a monitor was about. */
  const monitorCalls = () =>
    fake.calls
      .filter((words) => words[0] === "domstats" && words.some((word) => MONITOR.test(word)))
      .map((words) =>
        words.filter((word) => word.startsWith("ref of ")).map((word) => word.slice(7)),
      );
  return { ...fake, state, ask, monitorCalls };
}

const all = (of: string[], what = "complete") => Object.fromEntries(of.map((name) => [name, what]));
const STUCK = /QEMU does not answer/;

describe("who answers", () => {
  test.each([
    [1, [1]],
    [4, [1, 1, 1, 1]],
    [12, [3, 3, 3, 3]],
    [50, [10, 10, 10, 10, 10]],
    [73, [10, 10, 10, 10, 10, 10, 10, 3]],
  ])(
    "%i that are well: once, evenly over the calls, and nothing else is asked",
    async (n, sizes) => {
      const { ask, calls, monitorCalls } = hypervisor();
      expect(await ask(names(n))).toEqual(all(names(n)));
      expect(monitorCalls().flat().sort()).toEqual(names(n).sort());
      expect(monitorCalls().map((batch) => batch.length)).toEqual(sizes);
      expect(calls.length).toBe(sizes.length);
    },
  );

  test("nobody", async () => {
    const { ask, calls } = hypervisor();
    expect(await ask([])).toEqual({});
    expect(calls).toEqual([]);
  });

  test("one whom another's path pretends to be is asked alone", async () => {
    const { virsh, calls } = answering((_verb, ...words) => {
      const asked = words.filter((_, i) => words[i - 1] === "--domain");
      return asked
        .map((name) => `Domain: '${name}'\n  n=${name}\n${name === "a" ? "Domain: 'b'\n" : ""}\n`)
        .join("");
    });
    const three = ["a", "b", "c"].map((name) => ({ name, ref: name }));
    const found = await domstats({ host: "forged", virsh, log } as Context, three, ["--state"]);
    expect([...found].map(([name, { fields }]) => [name, fields.n]).sort()).toEqual([
      ["a", "a"],
      ["b", "b"],
      ["c", "c"],
    ]);
    expect(calls.at(-1)?.slice(-2)).toEqual(["--domain", "b"]);
  });

  test("what libvirtd knows itself is asked in one command, whoever is stuck", async () => {
    const { ask, calls, state } = hypervisor();
    state.frozen = new Set(names(25));
    expect(await ask(names(25), ["--interface"])).toEqual(all(names(25), "safe"));
    expect(calls.length).toBe(1);
    expect(calls[0]?.slice(0, 3)).toEqual(["domstats", "--state", "--interface"]);
  });

  test("one that is stuck is set aside until it answers", async () => {
    const { ask, state, monitorCalls } = hypervisor();
    state.frozen.add("vm 3");
    const set = { ...all(names(10)), "vm 3": expect.stringMatching(STUCK) };
    for (let i = 0; i < 4; i++) expect(await ask(names(10))).toEqual(set);
    expect(await ask(["vm 3"])).toEqual({ "vm 3": expect.stringMatching(STUCK) });
    const asked = () => monitorCalls().filter((batch) => batch.includes("vm 3")).length;
    expect(asked()).toBe(1);
    state.frozen.clear();
    expect(await ask(names(10))).toEqual(all(names(10)));
    expect(asked()).toBe(2);
  });

  test("two that are stuck cost the others of their batch nothing", async () => {
    const { ask, state } = hypervisor();
    state.frozen = new Set(["vm 2", "vm 7"]);
    const stuck = expect.stringMatching(STUCK);
    for (let i = 0; i < 2; i++)
      expect(await ask(names(10))).toEqual({ ...all(names(10)), "vm 2": stuck, "vm 7": stuck });
  });

  test("one that is stuck in a job, such as a snapshot", async () => {
    const { ask, state } = hypervisor();
    state.says = "background job (1.500s)";
    state.frozen.add("vm 3");
    const set = { ...all(names(10)), "vm 3": expect.stringMatching(STUCK) };
    expect(await ask(names(10))).toEqual(set);
  });

  test("one in a job that answers, such as a migration, is not set aside with one that is stuck", async () => {
    const { ask, state } = hypervisor();
    state.frozen.add("vm 3");
    state.jobs.add("vm 2");
    const set = { ...all(names(5)), "vm 3": expect.stringMatching(STUCK) };
    for (let i = 0; i < 2; i++) expect(await ask(names(5))).toEqual(set);
  });

  test("a slow machine is asked once more, and everything is there", async () => {
    const { ask, state, monitorCalls } = hypervisor();
    state.slow = 1;
    expect(await ask(names(5))).toEqual(all(names(5)));
    expect(monitorCalls().flat().sort()).toEqual([...names(5), "vm 0"].sort());
  });

  test("one that never answers is not left out, though nobody says that it is stuck", async () => {
    const { ask, state } = hypervisor();
    state.says = "ok";
    state.frozen.add("vm 0");
    expect(await ask(["vm 0"])).toEqual({ "vm 0": expect.stringMatching(STUCK) });
  });

  test("one that has gone is left out, also where it was alone in its batch", async () => {
    const { ask, state } = hypervisor();
    for (const [name, count] of [
      ["vm 3", 10],
      ["vm 10", 11],
      ["vm 0", 1],
    ] as const) {
      state.gone = new Set([name]);
      const { [name]: _, ...rest } = all(names(count));
      expect(await ask(names(count))).toEqual(rest);
      expect(await ask(names(count), ["--state"])).toEqual(all(Object.keys(rest), "safe"));
    }
  });

  test("one that went away while it was set aside", async () => {
    const { ask, state } = hypervisor();
    state.frozen.add("vm 1");
    await ask(names(3));
    state.gone.add("vm 1");
    expect(await ask(names(3))).toEqual(all(["vm 0", "vm 2"]));
  });

  test("any other failure is the caller's", async () => {
    const lost = new HyperError("unreachable", "hypervisor: Connection refused");
    const { virsh } = answering(() => lost);
    const ctx = { host: "lost", virsh, log } as Context;
    await expect(domstats(ctx, targets(names(3)), ALL)).rejects.toBe(lost);
  });
});

test("only a few calls wait for a monitor, however many callers there are", async () => {
  const { virsh } = answering(() => "");
  let [now, most] = [0, 0];
  virsh.settled = async (commands) => {
    if (!commands.flat().includes("--block")) return commands.map(() => "");
    most = Math.max(most, ++now);
    await sleep(2);
    now--;
    return commands.map(() => "");
  };
  const ctx = { host: "busy", virsh, log } as Context;
  await Promise.all(names(8).map(() => domstats(ctx, targets(names(30)), ALL)));
  expect(most).toBeGreaterThan(1);
  expect(most).toBeLessThanOrEqual(5); // of libvirtd's 20 workers
});
