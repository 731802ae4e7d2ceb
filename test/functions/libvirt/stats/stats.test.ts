/** GET /libvirt/stats and the five below it: which groups of `domstats` each asks for, and about whom. */
import { describe, expect, test } from "vitest";
import all from "../../../../functions/libvirt/stats/all.ts";
import cpu from "../../../../functions/libvirt/stats/cpu.ts";
import disk from "../../../../functions/libvirt/stats/disk.ts";
import memory from "../../../../functions/libvirt/stats/memory.ts";
import network from "../../../../functions/libvirt/stats/network.ts";
import stats from "../../../../functions/libvirt/stats.ts";
import { HyperError } from "../../../../runtime/errors.ts";
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

describe.each(SINGLE)("%s", (_path, show, groups) => {
  test("one command, the groups that it needs", async () => {
    const fake = answering(() => running("it's"));
    expect(await show({ name: "it's" }, { ...fake, host: host() })).toMatchObject({
      name: "it's",
      state: "running",
    });
    expect(fake.calls).toEqual([["domstats", ...groups, "--domain", "it's"]]);
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
  test("the running ones, by UUID, in virsh's order", async () => {
    const names = ["42", "it's", "a b"];
    const fake = answering((verb) =>
      verb === "list"
        ? names.map((name, i) => `${UUID}${i} ${name}\n`).join("")
        : names.map(running).reverse().join(""),
    );
    const { domains, total } = await all({}, { ...fake, host: host() });
    expect([domains.map(({ name }) => name), total]).toEqual([names, 3]);
    expect(fake.calls).toEqual([
      ["list", "--uuid", "--name", "--state-running"],
      ["domstats", ...EVERY, ...names.flatMap((_, i) => ["--domain", `${UUID}${i}`])],
    ]);
  });

  test("none", async () => {
    const fake = answering(() => "\n");
    expect(await all({}, { ...fake, host: host() })).toEqual({ domains: [], total: 0 });
    expect(fake.verbs()).toEqual(["list"]);
  });
});
