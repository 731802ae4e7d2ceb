/** POST /libvirt/network/create: what is refused, the definition that is written, and the way back. */
import { describe, expect, test } from "vitest";
import create from "../../../../functions/libvirt/network/create.ts";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { attribute, children, parseXml, textOf } from "../../../../runtime/libvirt/xml.ts";
import { answering } from "../../../fixtures/fake.ts";

type Input = Parameters<typeof create>[0];

/** A hypervisor without networks, which shows the one that was defined. `fails` says which verbs fail. */
function hypervisor(fails: Record<string, HyperError> = {}) {
  let definition = "";
  const fake = answering((verb, ...words) => {
    const failure = fails[verb];
    if (failure) return failure;
    if (verb === "net-define") definition = words[1] ?? "";
    if (verb === "net-info") return "Active: no\nPersistent: yes\nAutostart: no\n";
    if (verb === "version") return "Running against daemon: 9.0.0\n";
    return verb === "net-dumpxml" ? definition : "\n";
  });
  return {
    ...fake,
    uri: "qemu:///system",
    definition: () => parseXml(definition, "network"),
    text: () => definition,
  };
}

describe("the definition", () => {
  async function defined(input: Input) {
    const fake = hypervisor();
    const answer = await create(input, fake);
    expect(answer.name).toBe(input.name);
    const network = fake.definition();
    const [ip] = children(network, "ip");
    return {
      forward: attribute(network, "mode", "forward"),
      bridge: attribute(network, "name", "bridge"),
      ip: ip && [ip["@family"], ip["@address"], ip["@prefix"]],
      dhcp: children(ip, "dhcp", "range").map((range) => [range["@start"], range["@end"]]),
    };
  }

  test("the reference's example", async () => {
    const example = create.spec.examples?.[0] as Input;
    expect(await defined(example)).toEqual({
      forward: "nat",
      bridge: "virbr1",
      ip: ["ipv4", "192.168.100.1", "24"],
      dhcp: [["192.168.100.10", "192.168.100.100"]],
    });
  });

  test.each(["nat", "route", "open"] as const)(
    "%s without a subnet is given a free one",
    async (forward) => {
      expect(await defined({ name: "lan", forward })).toEqual({
        forward,
        bridge: undefined,
        ip: ["ipv4", "192.168.100.1", "24"],
        dhcp: [["192.168.100.2", "192.168.100.254"]],
      });
    },
  );

  test("a subnet without a range has no DHCP", async () => {
    expect(await defined({ name: "lan", forward: "route", subnet: "10.1.2.65/26" })).toMatchObject({
      ip: ["ipv4", "10.1.2.65", "26"],
      dhcp: [],
    });
  });

  test("none is isolated, with or without an address", async () => {
    const nothing = { forward: undefined, bridge: undefined, dhcp: [] };
    expect(await defined({ name: "lan", forward: "none" })).toEqual({ ...nothing, ip: undefined });
    expect(await defined({ name: "lan", forward: "none", subnet: "10.0.0.1" })).toEqual({
      ...nothing,
      ip: ["ipv4", "10.0.0.1", "24"],
    });
  });

  test("bridge uses one of the hypervisor, without an address", async () => {
    expect(await defined({ name: "lan", forward: "bridge", bridge: "br0" })).toEqual({
      forward: "bridge",
      bridge: "br0",
      ip: undefined,
      dhcp: [],
    });
  });

  test("IPv6", async () => {
    const range = { ip_start: "fd00::10", ip_end: "fd00::ff" };
    expect(await defined({ name: "lan", subnet: "fd00::1", ...range })).toMatchObject({
      ip: ["ipv6", "fd00::1", "64"],
      dhcp: [["fd00::10", "fd00::ff"]],
    });
  });

  test.each<[Input, string | undefined]>([
    [{ name: "lan", subnet: "fd00::1" }, "yes"],
    [{ name: "lan", subnet: "2001:db8::1/48", forward: "nat" }, "yes"],
    [{ name: "lan", subnet: "fd00::1", ip_start: "fd00::2", ip_end: "fd00::9" }, "yes"],
    [{ name: "lan", subnet: "fd00::1", forward: "route" }, undefined],
    [{ name: "lan", subnet: "fd00::1", forward: "open" }, undefined],
    [{ name: "lan", subnet: "10.0.0.1" }, undefined],
    [{ name: "lan" }, undefined],
  ])("%j: NAT of IPv6 is %s", async (input, ipv6) => {
    const fake = hypervisor();
    await create(input, fake);
    expect(attribute(fake.definition(), "ipv6", "forward", "nat")).toBe(ipv6);
  });

  test.each([`it's "x" <a> & b`, "x\"><bridge name='y'>", "&amp;", "a  b", "$(id);\\", "ü漢"])(
    "the name %j stays a name",
    async (name) => {
      const fake = hypervisor();
      await create({ name, forward: "none", start: true, autostart: true }, fake);
      expect(textOf(fake.definition(), "name")).toBe(name);
      expect(children(fake.definition(), "bridge")).toEqual([]);
      expect(fake.calls).toEqual([
        ["net-define", "--file", fake.text()],
        ["net-autostart", "--network", name],
        ["net-start", "--network", name],
        ["net-info", "--network", name],
        ["net-dumpxml", "--network", name],
      ]);
    },
  );
});

describe("inputs that are refused", () => {
  const range = { ip_start: "192.168.100.10", ip_end: "192.168.100.100" };
  test.each<[Record<string, unknown>, string]>([
    [{ name: undefined }, "name: required (string)"],
    [{ name: "" }, "name: must not be empty"],
    [{ name: "a/b" }, "name: must not contain"],
    [{ name: "-a" }, "name: must not contain"],
    [{ name: "a\nb" }, "name: must not contain"],
    [{ name: "a\u007f" }, "name: must not contain"],
    [{ name: "ü".repeat(128) }, "name: must be at most 255 bytes"],
    [{ forward: "vepa" }, "forward: "],
    [{ bridge: "br 0" }, "bridge: must be 1 to 15"],
    [{ bridge: "a123456789012345" }, "bridge: must be 1 to 15"],
    [{ forward: "bridge" }, "bridge: forward bridge needs the name"],
    [{ forward: "bridge", bridge: "br0", subnet: "10.0.0.1" }, "subnet: not with forward bridge"],
    [{ subnet: "10.0.0" }, "subnet: must be the bridge's"],
    [{ subnet: "10.0.0.0" }, "subnet: 10.0.0.0/24 is no address for a bridge"],
    [{ subnet: "10.0.0.1/31" }, "subnet: the prefix must be 1 to 30"],
    [{ ip_start: "192.168.100.10" }, "ip_end: a DHCP range needs both"],
    [{ ip_end: "192.168.100.10" }, "ip_start: a DHCP range needs both"],
    [range, "subnet: a DHCP range needs the subnet"],
    [{ subnet: "192.168.101.1", ...range }, "ip_start: DHCP range: 192.168.100.10 is not a host"],
    [{ subnet: "fd00::1", ...range }, "ip_start: DHCP range: 192.168.100.10 is not of the same"],
    [
      { subnet: "192.168.100.1", ip_start: "192.168.100.9", ip_end: "192.168.100.3" },
      "ip_start: DHCP range: 192.168.100.3 comes before 192.168.100.9",
    ],
    [
      { subnet: "10.0.0.1/8", ip_start: "10.0.0.2", ip_end: "10.9.0.1" },
      "ip_end: DHCP range: 10.0.0.2 to 10.9.0.1 is too large for libvirt",
    ],
    [
      { subnet: "10.0.0.1/8", ip_start: "10.0.255.1", ip_end: "10.1.0.5" },
      "ip_end: DHCP range: 10.0.255.1 to 10.1.0.5 is too large for libvirt",
    ],
    [
      { subnet: "fd00::1", ip_start: "fd00::2", ip_end: "fd00::1:0" },
      "ip_end: DHCP range: fd00::2 to fd00::1:0 is too large for libvirt",
    ],
    [{ subnet: "192.168.100.1", ...range, ip_end: "x" }, "ip_end: must be an IPv4 or IPv6 address"],
    [{ start: "yes" }, "start: "],
  ])("%j: %s", async (input, text) => {
    const fake = hypervisor();
    const call = create({ name: "lan", ...input } as Input, fake);
    await expect(call).rejects.toMatchObject({
      code: "invalid_input",
      message: expect.stringContaining(text),
    });
    expect(fake.calls).toEqual([]);
  });
});

describe("a failure", () => {
  const inUse = new HyperError("in_use", "Network is already in use by interface virbr1");
  const input: Input = { name: "lan", forward: "none", start: true, autostart: true };

  test("to define leaves the network of that name alone", async () => {
    const fake = hypervisor({ "net-define": new HyperError("already_exists", "already exists") });
    await expect(create(input, fake)).rejects.toMatchObject({ code: "already_exists" });
    expect(fake.verbs()).toEqual(["net-define"]);
  });

  test.each(["net-start", "net-autostart"])("of %s takes the definition back", async (verb) => {
    const fake = hypervisor({ [verb]: inUse });
    await expect(create(input, fake)).rejects.toBe(inUse);
    expect(fake.verbs().slice(-2)).toEqual([verb, "net-undefine"]);
    expect(fake.calls.at(-1)).toEqual(["net-undefine", "--network", "lan"]);
  });

  test("of the way back too says what is left", async () => {
    const lost = new HyperError("unreachable", "hypervisor: gone");
    const fake = hypervisor({ "net-start": inUse, "net-undefine": lost });
    await expect(create(input, fake)).rejects.toMatchObject({
      code: "in_use",
      message:
        "Network is already in use by interface virbr1; the network is left defined: hypervisor: gone",
      cause: inUse,
    });
  });
});
