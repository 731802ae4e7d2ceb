/** Tags in libvirt's metadata: what is written where, checked by reading it back, and undone where it fails. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import type { Context } from "../../../../runtime/hypervisor/context.ts";
import {
  changeTags,
  TAGS_NAMESPACE,
  Tag,
  withoutTags,
  withTags,
} from "../../../../runtime/libvirt/inventory/tags.ts";
import { answering } from "../../../fixtures/fake.ts";

const MISSING = new HyperError("not_found", "metadata not found: it is not present");

interface Domain {
  state?: string;
  persistent?: boolean;
  live?: string[];
  config?: string[];
  /** The sides that cannot be written, or that lose what is written. */
  refuses?: string[];
  loses?: string[];
  /** Those that can be written once. */
  once?: string[];
}

function domain({
  state = "running",
  persistent = true,
  live = [],
  config = [],
  ...wrong
}: Domain) {
  const sides: Record<string, string[]> = { "--live": live, "--config": config };
  const written = new Set<string>();
  const fake = answering((verb, ...words) => {
    if (verb === "dominfo")
      return `Name:           web\nState:          ${state}\nPersistent:     ${persistent ? "yes" : "no"}\n`;
    expect([verb, ...words.slice(0, 4)]).toEqual([
      "metadata",
      "--domain",
      "u-1",
      "--uri",
      TAGS_NAMESPACE,
    ]);
    const [side = "", how, , , text = ""] = words.slice(4);
    if (how === undefined) {
      const tags = sides[side] ?? [];
      if (tags.length === 0) return MISSING;
      return `<tags>\n${tags.map((tag) => `  <tag>${tag}</tag>\n`).join("")}</tags>\n`;
    }
    if (wrong.once?.includes(side) && written.has(side))
      return new HyperError("virsh_failed", "gone");
    written.add(side);
    if (wrong.refuses?.includes(side)) return new HyperError("virsh_failed", `no ${side}`);
    if (!wrong.loses?.includes(side))
      sides[side] = [...text.matchAll(/<tag>(.*?)<\/tag>/g)].map(([, tag]) => `${tag}`);
    return "";
  });
  const ctx = { host: "h", virsh: fake.virsh } as Context;
  const info = () => ctx.virsh(["dominfo", "--domain", "u-1"]);
  return {
    sides,
    writes: () =>
      fake.calls.filter((words) => words.includes("--set") || words.includes("--remove")),
    change: async (change: (tags: string[]) => string[]) =>
      changeTags(ctx, "u-1", await info(), change),
  };
}

test.each([
  ["a running domain, on both sides", {}, { "--live": ["prod"], "--config": ["prod"] }],
  ["a domain that is off", { state: "shut off" }, { "--live": [], "--config": ["prod"] }],
  ["a transient domain", { persistent: false }, { "--live": ["prod"], "--config": [] }],
])("%s", async (_title, options, sides) => {
  const one = domain(options);
  expect(await one.change(withTags(["prod"]))).toEqual(["prod"]);
  expect(one.sides).toEqual(sides);
});

test("each side keeps what it has", async () => {
  const one = domain({ live: ["a"], config: ["b", "x"] });
  expect(await one.change(withTags(["c", "a"]))).toEqual(["a", "c"]);
  expect(one.sides).toEqual({ "--live": ["a", "c"], "--config": ["a", "b", "c", "x"] });
});

test("the last tag takes the element with it; what is so already is not written", async () => {
  const one = domain({ live: ["a"], config: ["a"] });
  expect(await one.change(withoutTags(["b"]))).toEqual(["a"]);
  expect(one.writes()).toEqual([]);
  expect(await one.change(withoutTags(["a"]))).toEqual([]);
  expect(one.writes().map((words) => words.slice(5))).toEqual([
    ["--live", "--remove"],
    ["--config", "--remove"],
  ]);
});

describe("what fails", () => {
  test("at the second side: the first has its former tags", async () => {
    const one = domain({ live: ["a"], config: ["a"], refuses: ["--config"] });
    await expect(one.change(withTags(["b"]))).rejects.toMatchObject({
      ...{ code: "virsh_failed", message: "no --config" },
    });
    expect(one.sides).toEqual({ "--live": ["a"], "--config": ["a"] });
  });

  test("and cannot be undone: what is left is said", async () => {
    const one = domain({ live: ["a"], config: ["a"], refuses: ["--config"], once: ["--live"] });
    await expect(one.change(withTags(["b"]))).rejects.toMatchObject({
      ...{ code: "virsh_failed", details: { left: ["live"] } },
      message: "no --config; its former tags could not be written back to: live",
    });
    expect(one.sides).toEqual({ "--live": ["a", "b"], "--config": ["a"] });
  });

  test("silently: what libvirt then says counts", async () => {
    const one = domain({ loses: ["--config"] });
    await expect(one.change(withTags(["b"]))).rejects.toThrow("does not have the tags");
    expect(one.sides).toEqual({ "--live": [], "--config": [] });
  });

  test("with more tags than a domain may have", async () => {
    const one = domain({ live: Array.from({ length: 64 }, (_, i) => `t${i}`) });
    await expect(one.change(withTags(["one more"]))).rejects.toThrow("at most 64");
    expect(one.writes()).toEqual([]);
  });
});

test.each([
  "",
  "-a",
  " a",
  "a b",
  "<a>",
  "a&b",
  "a\n",
  "a'",
  'a"',
  "a(b",
  "$(a)",
  "a\0",
  "a".repeat(64),
  "a*",
])("%j is no tag", (text) => expect(Tag.safeParse(text).success).toBe(false));

test.each(["prod", "team:web", "a/b=c@d", "über", "日本", "1", "a".repeat(63)])(
  "%s is one",
  (text) => expect(Tag.parse(text)).toBe(text),
);
