/** The schemas of names and other words that many inputs share. */
import * as z from "zod";

/**
 * A name of a domain, network, pool, volume or snapshot. libvirt allows spaces, quotes and Unicode.
 * Names that would be a path, an option or an editing key in virsh's shell are refused.
 */
export const Name = z
  .string()
  .min(1, "must not be empty")
  .regex(
    /^(?!-)[^/\p{Cc}\p{Cs}\uFFFE\uFFFF]*$/u,
    'must not contain "/" or control characters, nor begin with "-"',
  )
  .refine((name) => Buffer.byteLength(name) <= 255, "must be at most 255 bytes");

/** The kind of object that is named, for descriptions; the command line completes such names from the hypervisor. */
const named = (kind: string) => ({
  "x-libvirt": kind,
  description: `name or UUID of a ${kind}`,
});
export const DomainName = Name.meta(named("domain"));

/** A domain's name in an answer. A list whose items have such a field shows a limited caller only their own domains. */
export const NameOfDomain = z.string().meta({ "x-libvirt": "domain" });

export const NetworkName = Name.meta(named("network"));
export const PoolName = Name.meta(named("pool"));

/** For names of new objects: virsh writes characters that it cannot print as `\xff`, so such a name could not be read. */
export const PRINTABLE = [
  /^[^\p{Zl}\p{Zp}\p{Cn}]*$/u,
  "must not contain line or paragraph separators (U+2028, U+2029) or code points that Unicode does not assign",
] as const;

/** The name of a new object. libvirt would find the object that has a UUID before the one that is named like it. */
export const NewName = Name.regex(...PRINTABLE)
  .refine((name) => !z.guid().safeParse(name).success, "must not be a UUID")
  .describe("a name that nothing else has");

/** A MAC address; answers have it in lower case. */
export const Mac = z
  .string()
  .regex(/^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$/, "must be a MAC address such as 52:54:00:12:34:56")
  .toLowerCase()
  .describe("MAC address");

/** The name of a network interface or bridge on the hypervisor. */
export const InterfaceName = z
  .string()
  .regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/, 'must be 1 to 15 letters, digits, ".", "_" and "-"');

/** Free text that libvirt stores with an object as XML, where a carriage return would become a newline. */
export const Description = z
  .string()
  .max(4096)
  .regex(
    /^[\t\n\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]*$/u,
    "must not contain control characters but newlines and tabs",
  )
  .describe("free text, kept with it");
