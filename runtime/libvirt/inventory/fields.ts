/** The fields that a query may ask about, and what a value of each means. */
import ipaddr from "ipaddr.js";
import { parseSize } from "../size.ts";
import { DOMAIN_STATES } from "../stats/sections.ts";
import type { Vm } from "./vm.ts";
import { matchesPattern, patternOf } from "./wildcard.ts";

/** Undefined: nobody knows. */
export type Test = (vm: Partial<Vm>) => boolean | undefined;

interface Field {
  /** What may stand behind the colon. */
  allowed: string;
  /** Other names of it. */
  aliases?: string[];
  /** Undefined for a value that is not allowed. */
  test(value: string, isQuoted: boolean): Test | undefined;
}

type TextKey = "host" | "name" | "os";
type ListKey = "tags" | "addresses";

const of = (allowed: string, key: TextKey): Field => ({
  allowed,
  test(value, isQuoted) {
    const pattern = patternOf(value, isQuoted);
    return (vm) => known(vm[key], (text) => matchesPattern(pattern, text));
  },
});

const anyOf = (allowed: string, key: ListKey): Field => ({
  allowed,
  test(value, isQuoted) {
    const pattern = patternOf(value, isQuoted);
    return (vm) => known(vm[key], (texts) => texts.some((text) => matchesPattern(pattern, text)));
  },
});

function known<T>(value: T | null | undefined, test: (value: T) => boolean): boolean | undefined {
  return value === null || value === undefined ? undefined : test(value);
}

const number = (
  key: "memory" | "vcpus",
  allowed: string,
  parse: (text: string) => number | undefined,
  aliases: string[] = [],
): Field => ({
  allowed,
  aliases,
  test(value) {
    const [, sign = "", text = ""] = /^(>=|<=|>|<|=)?(.*)$/s.exec(value) ?? [];
    const limit = parse(text.trim());
    const compare = SIGNS[sign || "="];
    if (limit === undefined || !compare) return undefined;
    return (vm) => known(vm[key], (value) => compare(value, limit));
  },
});

const SIGNS: Record<string, (value: number, limit: number) => boolean> = {
  ">": (value, limit) => value > limit,
  ">=": (value, limit) => value >= limit,
  "<": (value, limit) => value < limit,
  "<=": (value, limit) => value <= limit,
  "=": (value, limit) => value === limit,
};

const STATES = DOMAIN_STATES.filter((state) => state !== "no state");
/** `shut off`, `shut_off` and `shutoff` are one; so is `off`. */
const plain = (text: string) => text.toLowerCase().replace(/[\s_-]/g, "");

const state: Field = {
  allowed: `${STATES.map((one) => (one.includes(" ") ? `"${one}"` : one)).join(", ")} or off`,
  test(value) {
    const wanted = plain(value) === "off" ? "shutoff" : plain(value);
    if (!STATES.some((one) => plain(one) === wanted)) return undefined;
    return (vm) => known(vm.state, (text) => plain(text) === wanted);
  },
};

const ADDRESS = "an address such as 10.0.0.7, with * and ?, or a network such as 10.0.0.0/8";
const NAME = "a name; * is any text, ? any character";
const tags = anyOf("a tag; * is any text, ? any character", "tags");
/** As tags are kept. */
const tag: Field = {
  ...tags,
  aliases: ["tags"],
  test: (value, isQuoted) => tags.test(value.normalize("NFC"), isQuoted),
};

const addresses = anyOf(ADDRESS, "addresses");

const ip: Field = {
  allowed: ADDRESS,
  test(value, isQuoted) {
    if (!value.includes("/")) {
      if (!/^[0-9a-fA-F:.*?]+$/.test(value)) return undefined;
      return addresses.test(value.toLowerCase(), isQuoted);
    }
    if (!ipaddr.isValidCIDR(value)) return undefined;
    const [network, bits] = ipaddr.parseCIDR(value);
    const isWithin = (text: string) => {
      const address = ipaddr.parse(text);
      return address.kind() === network.kind() && address.match(network, bits);
    };
    return (vm) => known(vm.addresses, (texts) => texts.some(isWithin));
  },
};

const network: Field = {
  allowed: "a network or bridge; * is any text, ? any character",
  test(value, isQuoted) {
    const pattern = patternOf(value, isQuoted);
    const isNamed = (text: string) => matchesPattern(pattern, text);
    return ({ networks, bridges }) =>
      known(networks, (all) => [...all, ...(bridges ?? [])].some(isNamed));
  },
};

const wholeNumber = (text: string) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);
/** A number without a unit is refused: megabytes and bytes are both guessed. */
const size = (text: string) => (/[a-z]/i.test(text) ? parseSize(text) : undefined);

export const FIELDS: Record<string, Field> = {
  name: of(NAME, "name"),
  host: of("a hypervisor's alias; * is any text, ? any character", "host"),
  state,
  tag,
  memory: number("memory", "a size with its unit such as 4GiB, behind >, >=, <, <= or alone", size),
  vcpus: number("vcpus", "a number, behind >, >=, <, <= or alone", wholeNumber, ["vcpu", "cpu"]),
  os: of("a system of libosinfo such as debian12, with * and ?", "os"),
  network,
  ip,
};

export const fieldNamed = (name: string): string | undefined =>
  Object.hasOwn(FIELDS, name)
    ? name
    : Object.keys(FIELDS).find((key) => FIELDS[key]?.aliases?.includes(name));
