/** What a domain is to become, and what of it a definition has. */
import * as z from "zod";
import { Description } from "../../names.ts";
import { attribute, children, type Element, textOf } from "../../xml.ts";
import { kibibytes } from "../numa.ts";
import { Boot, readBoot } from "./boot.ts";

const MEMORY = z
  .int()
  .min(1)
  .max(1 << 30);
const VCPUS = z.int().min(1).max(4096);

/** libvirt takes a title of one line. */
const Title = z
  .string()
  .max(1024)
  .regex(
    /^[\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]*$/u,
    "must be one line without control characters",
  );

/** The fields that may be edited. */
export const WISH = {
  memory: MEMORY.optional().describe("MiB that the guest may use"),
  max_memory: MEMORY.optional().describe("MiB up to which `memory` can grow while it runs"),
  vcpus: VCPUS.optional().describe("virtual CPUs that the guest has"),
  max_vcpus: VCPUS.optional().describe("up to which `vcpus` can grow while it runs"),
  description: Description.optional().describe("free text; empty removes it"),
  title: Title.optional().describe("one line; empty removes it"),
  boot: Boot.optional(),
  autostart: z.boolean().optional().describe("start it with the hypervisor"),
};

const Wish = z.object(WISH);
export type Wish = z.output<typeof Wish>;
export type Field = keyof Wish;
export type Value = number | string | boolean | string[];

/** The fields of a definition, in the words of a wish; memory may be a fraction of MiB. */
export function readFields(domain: Element): Required<Omit<Wish, "autostart">> {
  const [vcpu] = children(domain, "vcpu");
  const max_vcpus = Number(vcpu?.["#text"]);
  const size = (name: string) => {
    const [element] = children(domain, name);
    return element && kibibytes(textOf(element), attribute(element, "unit")) / 1024;
  };
  const max_memory = size("memory") ?? Number.NaN;
  return {
    ...{ memory: size("currentMemory") ?? max_memory, max_memory },
    ...{ vcpus: Number(attribute(vcpu, "current") ?? max_vcpus), max_vcpus },
    description: textOf(domain, "description") ?? "",
    title: textOf(domain, "title") ?? "",
    boot: readBoot(domain),
  };
}
