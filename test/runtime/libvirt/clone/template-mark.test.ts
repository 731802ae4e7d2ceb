/** A template's mark: written into the definition, and read from it as it was. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  addMark,
  readMark,
  TemplateMark,
} from "../../../../runtime/libvirt/clone/template-mark.ts";
import { Description } from "../../../../runtime/libvirt/names.ts";
import { parseXml } from "../../../../runtime/libvirt/xml.ts";
import { XmlDocument } from "../../../../runtime/libvirt/xml-document.ts";

const marked = (text: string, mark: TemplateMark) => {
  const doc = new XmlDocument(text);
  addMark(doc, mark);
  return `${doc}`;
};
const read = (text: string) => readMark(parseXml(text, "domain"));

test("any mark that is accepted is read as it was written, wherever it stands", () => {
  const text = fc
    .string({ unit: "binary", maxLength: 30 })
    .filter((one) => Description.safeParse(one).success);
  const key = text.filter((one) => /^[^\p{Cc}]+$/u.test(one) && one !== "__proto__");
  const mark = fc.record({
    source: key,
    created: fc.constant("2026-01-01T00:00:00Z"),
    sealed: fc.boolean(),
    description: text,
    metadata: fc
      .uniqueArray(fc.tuple(key, text), { selector: ([one]) => one, maxLength: 4 })
      .map((items) => Object.fromEntries(items)),
  });
  const place = fc.constantFrom(
    "<domain><name>x</name></domain>",
    "<domain><name>x</name><metadata/></domain>",
    "<domain><metadata><o:x xmlns:o='urn:o'>1</o:x></metadata><name>x</name></domain>",
  );
  fc.assert(
    fc.property(place, mark, (domain, one) => {
      expect(read(marked(domain, one))).toEqual({ ...one });
    }),
    { numRuns: 500 },
  );
});

test("what is no mark, or not one of ours", () => {
  expect(read("<domain><name>x</name></domain>")).toBeUndefined();
  expect(
    read("<domain><metadata><o:template xmlns:o='urn:o'/></metadata></domain>"),
  ).toBeUndefined();
});

test("a mark that somebody has written by hand still has the shape of one", () => {
  const found = read(
    "<domain><metadata><hypersdk:template xmlns:hypersdk='urn:hypersdk:template:1' source='s' created='c'><hypersdk:item key='k'/></hypersdk:template></metadata></domain>",
  );
  expect(TemplateMark.parse(found)).toEqual({
    ...{ source: "s", created: "c", sealed: false, description: "", metadata: { k: "" } },
  });
});
