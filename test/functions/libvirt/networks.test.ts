/** GET /libvirt/networks: what is read from virsh's lists. */
import { describe, expect, test } from "vitest";
import networks from "../../../functions/libvirt/networks.ts";
import { answering } from "../../fixtures/fake.ts";

interface Row {
  name: string;
  active: boolean;
  autostart: boolean;
  persistent: boolean;
}

/** As virsh lists names. */
const listed = (rows: Row[], words: string[]) => {
  const asked = rows.filter(
    ({ active, autostart, persistent }) =>
      (words.includes("--all") || active) &&
      (!words.includes("--persistent") || persistent) &&
      (!words.includes("--autostart") || autostart),
  );
  return `${asked.map(({ name }) => `${name}\n`).join("")}\n`;
};
const having = (rows: Row[]) => answering((_verb, ...words) => listed(rows, words));
/** A transient network is active as long as it exists. */
const row = (name: string, flags: number): Row => ({
  name,
  active: (flags & 1) > 0,
  autostart: (flags & 2) > 0,
  persistent: (flags & 5) !== 1,
});

describe("networks", () => {
  test("all states of all networks", async () => {
    const rows = Array.from({ length: 8 }, (_, i) => row(`net${i}`, i));
    expect(await networks({}, having(rows))).toEqual({ networks: rows, total: 8 });
  });

  test("names with spaces and quotes", async () => {
    const names = ["  leading", "a   b  c", 'it\'s "x" $HOME `id`; \\', "trailing  ", "ü漢🙂"];
    const rows = names.map((name, i) => row(name, i + 1));
    expect((await networks({}, having(rows))).networks).toEqual(rows);
  });

  test("in virsh's order, which track no difference between upper and lower case", async () => {
    const rows = ["Alpha", "beta", "Gamma"].map((name, i) => row(name, i + 4));
    expect((await networks({}, having([...rows].reverse()))).networks).toEqual(rows);
  });

  test("none", async () => {
    const { virsh } = answering(() => "\n");
    expect(await networks({}, { virsh })).toEqual({ networks: [], total: 0 });
  });

  test("all in one round trip", async () => {
    const fake = having([row("default", 1)]);
    const virsh = Object.assign(() => Promise.reject(new Error("a round trip of its own")), {
      ...fake.virsh,
    });
    expect((await networks({}, { virsh })).total).toBe(1);
  });

  test("one that comes or goes between the lists is given no other's words", async () => {
    const all = ["a", "b", "c"].map((name, i) => row(name, i + 5));
    const without = all.filter(({ name }) => name !== "a");
    for (const [before, after] of [
      [all, without],
      [without, all],
    ] as const) {
      let lists = 0;
      const { virsh } = answering((_verb, ...words) => listed(lists++ ? after : before, words));
      const { networks: found } = await networks({}, { virsh });
      expect(found.filter(({ name }) => name !== "a")).toEqual(without);
    }
  });
});
