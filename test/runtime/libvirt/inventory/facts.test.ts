/** What the inventory finds in a definition without parsing it, against what parsing it tells. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { factsIn } from "../../../../runtime/libvirt/inventory/facts.ts";
import { TAGS_NAMESPACE, tagsIn } from "../../../../runtime/libvirt/inventory/tags.ts";
import { children, parseXml, xml } from "../../../../runtime/libvirt/xml.ts";

/** As libvirt writes it. */
const definition = (metadata = "", more = "") => `<domain type='kvm' id='3'>
  <name>web</name>
  <uuid>6695eb01-f6a4-8304-79aa-97f2502e193f</uuid>
  <title>&lt;memory unit='KiB'&gt;7&lt;/memory&gt;</title>${metadata && `\n  <metadata>\n${metadata}\n  </metadata>`}
  <memory unit='KiB'>8388608</memory>
  <currentMemory unit='KiB'>2097152</currentMemory>
  <vcpu placement='static' current='2'>4</vcpu>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
  </os>
  <devices>
    <interface type='network'>
      <mac address='52:54:00:AA:00:01'/>
      <source network='it&apos;s' portid='9ab' bridge='virbr0'/>
      <target dev='vnet0'/>
    </interface>
    <interface type='bridge'>
      <mac address='52:54:00:aa:00:02'/>
      <source bridge='br0'/>
    </interface>
    <interface type='user'>
      <mac address='52:54:00:aa:00:03'/>
    </interface>
${more}  </devices>
</domain>
`;

const own = (...tags: string[]) =>
  `    <hypersdk:tags xmlns:hypersdk="${TAGS_NAMESPACE}">\n${tags.map((tag) => `      <hypersdk:tag>${tag}</hypersdk:tag>\n`).join("")}    </hypersdk:tags>`;

const SYSTEM = `    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="http://debian.org/debian/12"/>
    </libosinfo:libosinfo>`;

test("all facts of a definition", () => {
  expect(factsIn(definition(`${SYSTEM}\n${own("web", "prod")}`))).toEqual({
    ...{ memory: 2 * 1024 ** 3, vcpus: 2, tags: ["prod", "web"], os: "debian12" },
    ...{ networks: ["it's"], bridges: ["virbr0", "br0"] },
    macs: ["52:54:00:aa:00:01", "52:54:00:aa:00:02", "52:54:00:aa:00:03"],
  });
});

test("a definition without metadata, of a domain without interfaces", () => {
  const text = definition().replace(/<interface[\s\S]*<\/interface>/, "");
  const memory = text.replace(/.*currentMemory.*\n/, "").replace(" current='2'", "");
  expect(factsIn(memory)).toEqual({
    ...{ memory: 8 * 1024 ** 3, vcpus: 4, tags: [], os: "" },
    ...{ networks: [], bridges: [], macs: [] },
  });
});

test.each([
  ["by another prefix", own("a").replace(/(?<!urn:)hypersdk/g, "x"), ["a"]],
  ["without a prefix", `    <tags xmlns="${TAGS_NAMESPACE}"><tag>a</tag></tags>`, ["a"]],
  ["escaped", own("a &amp; b", " c "), ["a & b", "c"]],
  ["twice, and empty", own("b", "a", "b", ""), ["a", "b"]],
  ["none", own(), []],
  ["in a comment", `    <!-- ${own("no")} -->\n${own("yes")}`, ["yes"]],
  ["in a CDATA section", own("<![CDATA[a<b]]>"), ["a<b"]],
  ["of another namespace", own("no").replace(TAGS_NAMESPACE, "urn:other"), []],
  [
    "within another's element",
    `    <o:x xmlns:o="u">${own("no").trim()}</o:x>\n${own("yes")}`,
    ["yes"],
  ],
  [
    "behind what looks like an end",
    `    <!--\n  </metadata>\n  <memory unit='KiB'>1</memory>\n-->\n${own("a")}`,
    ["a"],
  ],
])("tags %s", (_title, metadata, tags) => {
  const facts = factsIn(definition(metadata));
  expect(facts.tags).toEqual(tags);
  expect(facts.memory).toBe(2 * 1024 ** 3);
});

test("whatever the tags are, the quick way and the parser agree", () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: "grapheme" })), (texts) => {
      const tags = texts.map((text) => text.replace(/[\p{Cc}\p{Cs}\uFFFE\uFFFF]/gu, "?"));
      const text = definition(own(...tags.map((tag) => `${xml`${tag}`}`)));
      const [metadata = {}] = children(parseXml(text, "domain"), "metadata");
      expect(factsIn(text).tags).toEqual(tagsIn(metadata));
    }),
  );
});
