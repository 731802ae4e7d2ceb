/** Edits in libvirt's XML: what none touches stays byte for byte. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { children, type Element, escapeXml, parseXml } from "../../../runtime/libvirt/xml.ts";
import { type Span, XmlDocument } from "../../../runtime/libvirt/xml-document.ts";

/** All of what XML may hold that is no element: where a parser by regular expressions goes astray. */
const SPECIAL = fc.constantFrom(
  "<!-- <a x='1'> --- & -->".replace("---", "-"),
  '<![CDATA[</a> <b attr="]]"> & ]] >]]>',
  "<?pi <a> '\" ?>",
  "<?it's?>",
  "&amp;&lt;&#65;&#x1F600;",
  " \n\t ",
  "text > with ' and \"",
  "é日本😀",
);
const NAME = fc.constantFrom("a", "b", "ns:c", "d-e.f", "été");
const VALUE = fc.constantFrom("", "1", "a > b", "/>", "x='y'", "<!-- no -->", "&", "é\"'");
/** Quoted one way or the other, with odd spaces. */
const ATTRIBUTES = fc
  .uniqueArray(fc.tuple(fc.constantFrom("x", "y", "ns:z"), VALUE, fc.boolean(), fc.boolean()), {
    selector: ([key]) => key,
    maxLength: 3,
  })
  .map((all) =>
    all
      .map(([key, value, single, spaces]) => {
        const text = value.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
        const quoted = single
          ? `'${text.replaceAll("'", "&apos;")}'`
          : `"${text.replaceAll('"', "&quot;")}"`;
        return `${spaces ? "\n  " : " "}${key}${spaces ? " = " : "="}${quoted}`;
      })
      .join(""),
  );
const { element } = fc.letrec<{ element: string }>((tie) => ({
  element: fc
    .tuple(
      NAME,
      ATTRIBUTES,
      fc.constantFrom("", " "),
      fc.array(fc.oneof(SPECIAL, tie("element")), { maxLength: 4 }),
    )
    .map(([name, attributes, space, inside]) =>
      inside.length === 0
        ? `<${name}${attributes}${space}/>`
        : `<${name}${attributes}${space}>${inside.join("")}</${name}${space}>`,
    ),
}));
const documents = fc
  .tuple(fc.constantFrom("", "<?xml version='1.0'?>\n", "<!DOCTYPE a>\n<!-- <a> -->\n"), element)
  .map(([head, body]) => `${head}${body}\n`);

function all(span: Span): Span[] {
  return [span, ...span.children.flatMap(all)];
}

/** Where elements stand, as offsets from both ends of what an edit replaces. */
const any = (property: (text: string, pick: number, other: number) => void) =>
  fc.assert(fc.property(documents, fc.nat(), fc.nat(), property), { numRuns: 500 });
const at = (spans: Span[], pick: number) => spans[pick % spans.length] as Span;

describe("any document", () => {
  test("without an edit is the same, and each element is where its tags are", () => {
    any((text) => {
      const doc = new XmlDocument(text);
      expect(`${doc}`).toBe(text);
      for (const span of all(doc.root)) {
        expect(text.slice(span.start).startsWith(`<${span.name}`)).toBe(true);
        expect(text.slice(span.start, span.end).endsWith(">")).toBe(true);
        if (span.innerEnd !== span.end)
          expect(text.slice(span.innerEnd, span.end)).toMatch(/^<\/[^>]+>$/);
        for (const child of span.children) {
          expect(child.start >= span.inner && child.end <= span.innerEnd).toBe(true);
        }
      }
    });
  });

  test("has the elements and attributes that the parser reads", () => {
    const compare = (span: Span, element: Element) => {
      const attributes = Object.entries(element).filter(([key]) => key.startsWith("@"));
      expect(Object.fromEntries(attributes)).toEqual(
        Object.fromEntries(Object.entries(span.attributes).map(([key, one]) => [`@${key}`, one])),
      );
      for (const name of new Set(span.children.map((child) => child.name))) {
        const spans = span.children.filter((child) => child.name === name);
        const elements = children(element, name);
        expect(elements.length).toBe(spans.length);
        for (const [i, child] of spans.entries()) compare(child, elements[i] as Element);
      }
    };
    any((text) => {
      const { root } = new XmlDocument(text);
      compare(root, parseXml(text, root.name));
    });
  });

  test("an attribute: before and behind its tag nothing changes, and it reads as set", () => {
    fc.assert(
      fc.property(
        documents,
        fc.nat(),
        fc.constantFrom("x", "ns:z", "new"),
        fc.option(fc.string({ unit: "grapheme" })),
        (text, pick, key, value) => {
          const doc = new XmlDocument(text);
          const spans = all(doc.root);
          const index = pick % spans.length;
          const span = spans[index] as Span;
          fc.pre(value === null || !/\p{Cc}/u.test(value));
          doc.setAttribute(span, key, value ?? undefined);
          const edited = `${doc}`;
          expect(edited.startsWith(text.slice(0, span.start))).toBe(true);
          expect(edited.endsWith(text.slice(span.inner))).toBe(true);
          const after = all(new XmlDocument(edited).root)[index] as Span;
          const { [key]: _old, ...others } = span.attributes;
          expect(after.attributes).toEqual(value === null ? others : { ...others, [key]: value });
        },
      ),
      { numRuns: 500 },
    );
  });

  test("removed, replaced, with another text, child or neighbour: the rest is the same", () => {
    any((text, pick) => {
      const spans = all(new XmlDocument(text).root);
      const span = at(spans, pick);
      const edit = (change: (doc: XmlDocument) => void) => {
        const doc = new XmlDocument(text);
        change(doc);
        return `${doc}`;
      };
      const [before, behind] = [text.slice(0, span.start), text.slice(span.end)];
      expect(edit((doc) => doc.remove(span))).toBe(before.trimEnd() + behind);
      expect(edit((doc) => doc.replace(span, "<n/>"))).toBe(`${before}<n/>${behind}`);
      expect(edit((doc) => doc.after(span, "<n/>"))).toBe(
        `${text.slice(0, span.end)}\n<n/>${behind}`,
      );
      const grown = new XmlDocument(edit((doc) => doc.prepend(span, "<n/>")));
      expect(at(all(grown.root), 0).name).toBe(spans[0]?.name);
      expect(all(grown.root).length).toBe(spans.length + 1);
      if (span.innerEnd === span.end) return;
      const set = edit((doc) => doc.setText(span, "a<b>&'\""));
      expect(set).toBe(
        `${text.slice(0, span.inner)}${escapeXml("a<b>&'\"")}${text.slice(span.innerEnd)}`,
      );
    });
  });

  test("two edits: the outer one wins, neighbours do not disturb each other", () => {
    any((text, pick, other) => {
      const doc = new XmlDocument(text);
      const spans = all(doc.root);
      const [a, b] = [at(spans, pick), at(spans, other)];
      fc.pre(a !== b);
      doc.replace(a, "<one/>");
      doc.replace(b, "<two/>");
      const [first, second] = a.start < b.start ? [a, b] : [b, a];
      const put = (span: Span) => (span === a ? "<one/>" : "<two/>");
      const between = text.slice(first.end, second.start);
      expect(`${doc}`).toBe(
        second.end <= first.end
          ? text.slice(0, first.start) + put(first) + text.slice(first.end)
          : text.slice(0, first.start) +
              put(first) +
              between +
              put(second) +
              text.slice(second.end),
      );
    });
  });
});

const SAMPLE = `<domain type="kvm">
  <!-- <name>not this</name> -->
  <name>a &amp; b</name>
  <devices>
    <disk a='1'  b="x > y" c = '3'/>
    <disk>
      <source file='/a' dev=""/>
    </disk><disk/>
  </devices>
</domain>
`;

describe("edits", () => {
  const cases: [string, (doc: XmlDocument) => void, [string, string][]][] = [
    ["text", (doc) => doc.setText(doc.find("name")[0] as Span, "c<d"), [["a &amp; b", "c&lt;d"]]],
    [
      "an attribute keeps the other's quotes and spaces",
      (doc) => doc.setAttribute(disk(doc), "a", "2"),
      [["a='1'", "a='2'"]],
    ],
    ["one with >", (doc) => doc.setAttribute(disk(doc), "b", undefined), [[`  b="x > y"`, ""]]],
    [
      "one with spaces about =",
      (doc) => doc.setAttribute(disk(doc), "c", "4"),
      [["c = '3'", "c='4'"]],
    ],
    ["the same value", (doc) => doc.setAttribute(disk(doc), "c", "3"), []],
    ["an empty one", (doc) => doc.setAttribute(source(doc), "dev", "/b"), [[`dev=""`, "dev='/b'"]]],
    ["one that is not there", (doc) => doc.setAttribute(disk(doc), "z", undefined), []],
    ["a new one", (doc) => doc.setAttribute(disk(doc), "z", "'"), [["'3'/>", "'3' z='&apos;'/>"]]],
    [
      "a new one in <disk/>",
      (doc) => doc.setAttribute(disk(doc, 2), "z", "1"),
      [["<disk/>", "<disk z='1'/>"]],
    ],
    [
      "the same attribute twice: the last counts",
      (doc) => {
        doc.setAttribute(disk(doc), "a", "22");
        doc.setAttribute(disk(doc), "a", "333");
      },
      [["a='1'", "a='333'"]],
    ],
    [
      "the same element removed twice",
      (doc) => {
        doc.remove(disk(doc));
        doc.remove(disk(doc));
      },
      [[`\n    <disk a='1'  b="x > y" c = '3'/>`, ""]],
    ],
    [
      "neighbours removed",
      (doc) => {
        for (const span of doc.find("devices", "disk")) doc.remove(span);
      },
      [[SAMPLE.slice(SAMPLE.indexOf("\n    <disk a"), SAMPLE.indexOf("\n  </devices>")), ""]],
    ],
    [
      "the first child removed and another put in its place",
      (doc) => {
        doc.remove(source(doc));
        doc.prepend(disk(doc, 1), "<new/>");
      },
      [[`\n      <source file='/a' dev=""/>`, "\n<new/>"]],
    ],
    [
      "a child of what is replaced, and an attribute of it",
      (doc) => {
        doc.setAttribute(source(doc), "file", "/c");
        doc.setAttribute(disk(doc, 1), "type", "file");
        doc.replace(disk(doc, 1), "<gone/>");
      },
      [[`<disk>\n      <source file='/a' dev=""/>\n    </disk>`, "<gone/>"]],
    ],
    [
      "an attribute, a child and a text of one element",
      (doc) => {
        doc.setAttribute(disk(doc, 1), "type", "file");
        doc.setAttribute(source(doc), "file", undefined);
        doc.after(source(doc), "<new/>");
      },
      [
        ["<disk>", "<disk type='file'>"],
        [" file='/a'", ""],
        [`dev=""/>`, `dev=""/>\n<new/>`],
      ],
    ],
  ];
  const disk = (doc: XmlDocument, i = 0) => doc.find("devices", "disk")[i] as Span;
  const source = (doc: XmlDocument) => doc.find("devices", "disk", "source")[0] as Span;

  test.each(cases)("%s", (_what, edit, changes) => {
    const doc = new XmlDocument(SAMPLE);
    edit(doc);
    const expected = changes.reduce((text, [from, to]) => text.replace(from, () => to), SAMPLE);
    expect(`${doc}`).toBe(expected);
  });

  test("a text reads without its entities", () => {
    const doc = new XmlDocument("<a>&lt;&#65;&#x42;&apos;&unknown;é</a>");
    expect(doc.textOf(doc.root)).toBe("<AB'&unknown;é");
    expect(doc.textOf(undefined)).toBeUndefined();
  });
});

test.each(["", "text", "<a>", "<a></b>", "</a>", "<a><b></a></b>", "<!-- <a/> -->"])(
  "%j is no document",
  (text) => {
    expect(() => new XmlDocument(text)).toThrow(/not complete|unexpected/);
  },
);
