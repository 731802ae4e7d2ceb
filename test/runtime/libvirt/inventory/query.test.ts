/** The query language over the inventory: what matches, what is refused and where. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FIELDS } from "../../../../runtime/libvirt/inventory/fields.ts";
import { mayMatchHost, parseQuery, select } from "../../../../runtime/libvirt/inventory/query.ts";
import type { Vm } from "../../../../runtime/libvirt/inventory/vm.ts";

const GIB = 1024 ** 3;

const vm = (more: Partial<Vm> = {}): Vm => ({
  ...{ host: "kvm1", name: "web1", uuid: "u", state: "running", memory: 8 * GIB, vcpus: 4 },
  ...{
    tags: ["prod", "web"],
    os: "debian12",
    networks: ["lan"],
    bridges: ["br0"],
    macs: ["52:54:00:00:00:01"],
  },
  ...{ addresses: ["10.1.2.3"], ...more },
});

const matches = (query: string, more: Partial<Vm> = {}) => parseQuery(query).test(vm(more));

describe("what matches", () => {
  test.each([
    "tag:prod AND state:running AND memory:>4GiB AND host:kvm*",
    "tag:prod state:running",
    "tags:pro?",
    "web",
    "WEB1",
    '"web1"',
    "name:web*",
    "name:*e*1",
    'name:"web1"',
    "NOT tag:dev",
    "not tag:dev and tag:prod",
    "tag:dev OR tag:prod",
    "tag:dev OR tag:x OR web",
    "tag:dev AND tag:x OR web",
    "(tag:dev OR tag:prod) AND (state:paused OR state:running)",
    "NOT (tag:dev OR state:paused)",
    "NOT NOT tag:prod",
    "memory:8GiB",
    "memory:>=8GiB memory:<=8192MiB",
    "memory:<9GB",
    "vcpus:>3",
    "cpu:<5 vcpu:4",
    "os:debian*",
    "network:lan",
    "network:br*",
    "ip:10.1.*",
    "ip:10.0.0.0/8",
    "ip:10.1.2.3",
  ])("%s", (query) => expect(matches(query)).toBe(true));

  test.each([
    "tag:Prod",
    "tag:pro",
    "NOT tag:prod",
    "name:web",
    'name:"web*"',
    "name:WEB1",
    "db",
    "tag:prod AND NOT web",
    "tag:dev OR tag:prod AND state:paused",
    "(tag:dev OR tag:prod) AND state:paused",
    "memory:>8GiB",
    "vcpus:<4",
    "state:off",
    "ip:192.168.0.0/16",
    "ip:fe80::/10",
  ])("not %s", (query) => expect(matches(query)).toBe(false));

  test("states with and without their space", () => {
    for (const text of ['"shut off"', "shut_off", "shutoff", "off", "Off"])
      expect(matches(`state:${text}`, { state: "shut off" }), text).toBe(true);
  });

  test("a quote makes operators, fields and parentheses plain words", () => {
    expect(matches(`"and"`, { name: "Sand" })).toBe(true);
    expect(matches(`'tag:prod (1)'`, { name: "a tag:prod (1)" })).toBe(true);
    expect(matches(String.raw`name:"a\"b\\c"`, { name: String.raw`a"b\c` })).toBe(true);
  });
});

test("signs in quotes are plain, and tags are found however their letters are composed", () => {
  expect(matches('"we*"')).toBe(false);
  expect(matches('"we*"', { name: "we*b" })).toBe(true);
  const tags = ["caf\u00e9"];
  for (const text of ["tag:cafe\u0301", "tag:caf\u00e9", "tag:cafe\u0301*", 'tag:"cafe\u0301"'])
    expect(matches(text, { tags }), text).toBe(true);
  expect(matches("NOT tag:cafe\u0301", { tags })).toBe(false);
});

describe("what is not known is neither true nor false", () => {
  const blind = { tags: null, memory: null };
  test.each<[string, boolean | undefined]>([
    ["tag:prod", undefined],
    ["NOT tag:prod", undefined],
    ["tag:prod AND state:running", undefined],
    ["tag:prod AND state:paused", false],
    ["tag:prod OR state:running", true],
    ["tag:prod OR state:paused", undefined],
    ["NOT (tag:prod AND state:paused)", true],
    ["memory:>1GiB", undefined],
  ])("%s is %s", (query, answer) => expect(matches(query, blind)).toBe(answer));

  test("select tells the two apart", () => {
    const [seen, unseen] = [vm({ name: "seen" }), vm({ name: "unseen", tags: null })];
    const query = parseQuery("tag:prod");
    expect(select(query, [seen, unseen])).toEqual({ matching: [seen], unknown: [unseen] });
  });
});

test("a hypervisor none of whose domains can match need not be asked", () => {
  const asked = (query: string) =>
    ["kvm1", "kvm2", "esx"].filter((host) => mayMatchHost(parseQuery(query), host));
  expect(asked("host:kvm* AND tag:prod")).toEqual(["kvm1", "kvm2"]);
  expect(asked("host:kvm1 OR tag:prod")).toEqual(["kvm1", "kvm2", "esx"]);
  expect(asked("NOT host:esx")).toEqual(["kvm1", "kvm2"]);
  expect(asked("web")).toEqual(["kvm1", "kvm2", "esx"]);
});

test("a query tells the fields that it names", () => {
  expect([...parseQuery("tags:a OR (NOT cpu:3) web").fields]).toEqual(["tag", "vcpus", "name"]);
});

describe("what is refused, and where", () => {
  test.each([
    ["", 1, "the query ends"],
    ["  ", 3, "the query ends"],
    ["tag:prod AND", 13, "the query ends"],
    ["AND tag:prod", 1, "not AND"],
    ["tag:a OR OR tag:b", 10, "not OR"],
    ["NOT", 4, "the query ends"],
    ["()", 2, "not )"],
    ["(tag:a", 1, "is not closed"],
    ["tag:a)", 6, 'no "("'],
    ["tag:", 5, "tag: needs a value"],
    ["tag: prod", 5, "tag: needs a value"],
    ["tag:(a)", 5, "tag: needs a value"],
    ["colour:red", 1, 'unknown field "colour"; there are: name, host, state, tag, memory'],
    ["tag:a state:flying", 7, 'state: "flying" is not running'],
    ["memory:>4096", 1, "a size with its unit"],
    ["memory:big", 1, "a size with its unit"],
    ["vcpus:>80%", 1, "a number"],
    ["vcpus:1.5", 1, "a number"],
    ["ip:web", 1, "an address"],
    ["ip:10.0.0.0/99", 1, "an address"],
    ['name:"web', 6, 'this " is not closed'],
    ["it's", 3, "this ' is not closed"],
    ['we"b"', 3, "at the begin of a value"],
    ['"web"1', 6, "must follow a closing quote"],
    [`${"(".repeat(60)}a`, 52, "levels deep"],
    [`${"NOT ".repeat(60)}a`, 205, "levels deep"],
    ["tag:a\0", 6, "no control characters"],
    ['name:"a\ud800"', 8, "no control characters"],
    ["a".repeat(1001), 1001, "at most 1000"],
    ["web*", 1, "a word without a field has no *"],
    ["NOT we?", 5, "has no ?"],
    ["NOT memory>4GiB", 5, "has no >"],
    ["memory<4GiB", 1, "has no <"],
    ["NOT !tag:prod", 5, "has no !"],
    ["tag=prod", 1, "has no =; use name:"],
    ["52:54:00", 1, "has no :"],
    ['tag:a ""', 7, "an empty word"],
    ["NOT ''", 5, "an empty word"],
  ])("%s", (query, position, text) => {
    expect(() => parseQuery(query)).toThrowError(
      expect.objectContaining({
        code: "invalid_input",
        message: expect.stringContaining(`at character ${position}: `),
        details: { position },
      }),
    );
    expect(() => parseQuery(query)).toThrowError(text);
  });
});

/** A query as a tree, its text, and what it means, told by another way than the parser's. */
type Tree = { text: string; means(vm: Vm): boolean };

const term: fc.Arbitrary<Tree> = fc.oneof(
  fc.constantFrom("a", "b", "c").map(
    (tag): Tree => ({
      text: `tag:${tag}`,
      means: ({ tags }) => tags?.includes(tag) ?? false,
    }),
  ),
  fc.nat(8).map((n): Tree => ({ text: `vcpus:>${n}`, means: ({ vcpus }) => Number(vcpus) > n })),
  fc.constantFrom("x", "y").map(
    (word): Tree => ({
      text: word,
      means: ({ name }) => name.includes(word),
    }),
  ),
);

const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    term,
    fc.tuple(tie("tree"), tie("tree")).map(
      ([a, b]): Tree => ({
        text: `(${a.text}) OR (${b.text})`,
        means: (vm) => a.means(vm) || b.means(vm),
      }),
    ),
    fc.tuple(tie("tree"), tie("tree"), fc.constantFrom(" AND ", " ")).map(
      ([a, b, and]): Tree => ({
        text: `(${a.text})${and}(${b.text})`,
        means: (vm) => a.means(vm) && b.means(vm),
      }),
    ),
    tie("tree").map((a): Tree => ({ text: `NOT (${a.text})`, means: (vm) => !a.means(vm) })),
  ),
}));

const anyVm = fc.record({
  name: fc.constantFrom("x", "y", "xy", "z"),
  vcpus: fc.nat(9),
  tags: fc.subarray(["a", "b", "c"]),
});

describe("whatever is asked", () => {
  test("a query means what its tree means", () => {
    fc.assert(
      fc.property(tree, anyVm, (one, more) => {
        fc.pre(one.text.length <= 1000);
        expect(parseQuery(one.text).test(vm(more))).toBe(one.means(vm(more)));
      }),
    );
  });

  test("any text is a query, or is refused with a position within it", () => {
    const words = fc.constantFrom(
      ...[
        "AND",
        "OR",
        "NOT",
        "(",
        ")",
        '"',
        "'",
        "\\",
        ":",
        "*",
        " ",
        "tag:a",
        "memory:>",
        "\u{1f600}",
      ],
      ...Object.keys(FIELDS).map((name) => `${name}:`),
    );
    const text = fc.oneof(
      fc.string(),
      fc.array(words, { maxLength: 20 }).map((all) => all.join("")),
    );
    fc.assert(
      fc.property(text, (query) => {
        try {
          expect([true, false, undefined]).toContain(parseQuery(query).test(vm()));
        } catch (error) {
          const { code, details } = error as { code: string; details: { position: number } };
          expect(code).toBe("invalid_input");
          expect(details.position).toBeGreaterThan(0);
          expect(details.position).toBeLessThanOrEqual(query.length + 1);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test("any name is found by itself in quotes", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 200 }), (name) => {
        const quoted = `"${name.replace(/["\\]/g, "\\$&")}"`;
        expect(parseQuery(`name:${quoted}`).test(vm({ name }))).toBe(true);
      }),
    );
  });
});

test("patterns of many stars end soon", () => {
  const query = parseQuery(`name:${"*a".repeat(100)}*b`);
  expect(query.test(vm({ name: "a".repeat(255) }))).toBe(false);
  expect(query.test(vm({ name: `${"a".repeat(254)}b` }))).toBe(true);
});
