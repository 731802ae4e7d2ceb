/** Edits to a definition: what template/deploy changes, and nothing else. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { setMemory, setNetwork, setVcpus } from "../../../../runtime/libvirt/domain/edit.ts";
import { XmlDocument } from "../../../../runtime/libvirt/xml-document.ts";
import { diff } from "../../../fixtures/diff.ts";

const FOLDER = join(import.meta.dirname, "../../../fixtures/xml");
const read = (file: string) => readFileSync(join(FOLDER, `${file}.xml`), "utf8");

describe("what deploy changes", () => {
  const edited = (file: string, edit: (doc: XmlDocument) => void) => {
    const doc = new XmlDocument(read(file));
    edit(doc);
    return diff(read(file), `${doc}`);
  };
  test("memory", () => {
    expect(edited("plain", (doc) => setMemory(doc, 3))).toEqual([
      "- <memory unit='KiB'>1048576</memory>",
      "- <currentMemory unit='KiB'>524288</currentMemory>",
      "+ <memory unit='KiB'>3072</memory>",
      "+ <currentMemory unit='KiB'>3072</currentMemory>",
    ]);
  });
  test("vcpus, with the topology that must agree", () => {
    expect(edited("plain", (doc) => setVcpus(doc, 3))).toEqual([
      "- <vcpu placement='static' current='1'>2</vcpu>",
      "+ <vcpu placement='static'>3</vcpu>",
      "- <topology sockets='1' dies='1' cores='2' threads='1'/>",
    ]);
  });
  test.each([
    ["plain", ["- <source network='default' portgroup='web'/>", '+ <source network="it&apos;s"/>']],
    [
      "disks",
      [
        "- <interface type='user'>",
        "+ <interface type='network'>",
        '+ <source network="it&apos;s"/>',
      ],
    ],
    [
      "consoles",
      [
        '+ <interface type="network"><source network="it&apos;s"/><model type="virtio"/></interface>',
      ],
    ],
  ])("network: %s", (file, expected) => {
    expect(edited(file, (doc) => setNetwork(doc, "it's"))).toEqual(expected);
  });
});
