/** Compares a domain that was just defined with what was asked: libvirt computes parts of a definition from others. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { parseXml } from "../xml.ts";
import { XmlDocument } from "../xml-document.ts";
import { readInterfaces } from "./interface.ts";
import { kibibytesOf } from "./numa.ts";

export interface Edits {
  /** In MiB. */
  memory?: number | undefined;
  vcpus?: number | undefined;
  /** The name of the network that the first interface is connected to. */
  network?: string | undefined;
}

const COMPUTED = {
  memory: "libvirt computes it from its NUMA cells and memory devices",
  vcpus: "libvirt computes it from its NUMA cells and topology",
  network: "libvirt took another connection from its definition",
};

/** Throws `unsupported`, naming each edit that libvirt did not take. */
export async function assertEdited(
  { virsh }: Pick<Context, "virsh">,
  domain: string,
  asked: Edits,
) {
  if (Object.values(asked).every((value) => value === undefined)) return;
  const text = await virsh(["dumpxml", "--domain", domain, "--inactive"]);
  const doc = new XmlDocument(text);
  const [vcpu] = doc.find("vcpu");
  const [nic] = readInterfaces(parseXml(text, "domain"));
  const sizes = [...doc.find("memory"), ...doc.find("currentMemory")];
  const found: [keyof Edits, unknown][] = [
    ...sizes.map((span): [keyof Edits, unknown] => ["memory", kibibytesOf(doc, span) / 1024]),
    ["vcpus", Number(vcpu?.attributes.current ?? doc.textOf(vcpu))],
    ["network", nic?.type === "network" ? nic.source : undefined],
  ];
  const refused = found
    .filter(([key, value]) => asked[key] !== undefined && value !== asked[key])
    .map(([key, value]) => `${key}: it has ${value} instead of ${asked[key]}; ${COMPUTED[key]}`);
  if (refused.length === 0) return;
  const message = `the new domain is not as asked: ${[...new Set(refused)].join("; ")}`;
  throw new HyperError("unsupported", message);
}
