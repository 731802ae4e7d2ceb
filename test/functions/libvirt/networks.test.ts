/** GET /libvirt/networks: what is read from virsh's lists. */
import { describe, expect, test } from "vitest";
import networks from "../../../functions/libvirt/networks.ts";
import { answering } from "../../fixtures/fake.ts";

interface Row {
  name: string;
  uuid: string;
  active: boolean;
  autostart: boolean;
  persistent: boolean;
}

const yes = (flag: boolean) => (flag ? "yes" : "no");

/** As virsh lists the names, the UUIDs, or its table. */
const listed = (rows: Row[], words: string[]) => {
  if (words.includes("--name")) return `${rows.map(({ name }) => `${name}\n`).join("")}\n`;
  if (words.includes("--uuid")) return `${rows.map(({ uuid }) => `${uuid}\n`).join("")}\n`;
  const width = Math.max(...rows.map(({ name }) => name.length));
  const line = ({ name, active, autostart, persistent }: Row) =>
    ` ${name.padEnd(width)}   ${active ? "active" : "inactive"}   ${yes(autostart)}   ${yes(persistent)}\n`;
  return rows.map(line).join("");
};
const having = (rows: Row[]) => answering((_verb, ...words) => listed(rows, words));
const row = (name: string, i: number, flags = i): Row => ({
  name,
  uuid: `${i}`.padStart(8, "0").concat("-0000-4000-8000-000000000000"),
  active: (flags & 1) > 0,
  autostart: (flags & 2) > 0,
  persistent: (flags & 4) > 0,
});

describe("networks", () => {
  test("all states of all networks", async () => {
    const rows = Array.from({ length: 8 }, (_, i) => row(`net${i}`, i));
    expect(await networks({}, having(rows))).toEqual({ networks: rows, total: 8 });
  });

  test("names with spaces, quotes and words of the table", async () => {
    const names = [
      "a   b  c",
      "  leading",
      "trailing  ",
      'it\'s "x" $HOME `id`; \\',
      "ü漢🙂",
      "x   active   yes         yes",
      "inactive no no",
    ];
    const rows = names.map((name, i) => row(name, i + 1));
    expect((await networks({}, having(rows))).networks).toEqual(rows);
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

  test("a network that comes or goes between the lists is given no other's words", async () => {
    const [all, without] = [["a", "b", "c"].map((name, i) => row(name, i + 1)), [] as Row[]];
    without.push(...all.filter(({ name }) => name !== "a"));
    let lists = 0;
    // the first time, "a" is gone after the names were listed
    const { virsh } = answering((_verb, ...words) => listed(lists++ === 0 ? all : without, words));
    const { networks: found } = await networks({}, { virsh });
    expect(found.filter(({ name }) => name !== "a")).toEqual(without);
  });
});
