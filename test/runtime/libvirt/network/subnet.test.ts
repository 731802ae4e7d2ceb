/** Which addresses make a bridge, and which ranges lie in its subnet. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  Address,
  bridgeAddress,
  bridgeProblem,
  overlap,
  rangeProblem,
  rangeSizeProblem,
  Subnet,
} from "../../../../runtime/libvirt/network/subnet.ts";

describe("Subnet", () => {
  test.each([
    ["192.168.100.1", "ipv4", "192.168.100.1", 24],
    ["10.0.0.1/8", "ipv4", "10.0.0.1", 8],
    ["192.168.100.65/26", "ipv4", "192.168.100.65", 26],
    ["fd00::1", "ipv6", "fd00::1", 64],
    ["2001:db8::1/48", "ipv6", "2001:db8::1", 48],
  ])("%s", (text, family, address, prefix) => {
    expect(bridgeAddress(Subnet.parse(text))).toEqual({ family, address, prefix });
    expect(bridgeProblem(bridgeAddress(text))).toBeUndefined();
  });

  test.each([
    "",
    "192.168.100",
    "192.168.100.256",
    "192.168.100.1/33",
    "192.168.100.1/",
    "192.168.100.1/24/24",
    "192.168.100.01",
    "0x7f.1",
    " 10.0.0.1",
    "fd00::1/129",
    "fd00::1%eth0",
    "fd00:::1",
    "localhost",
  ])("%j is refused", (text) => {
    expect(Subnet.safeParse(text).success).toBe(false);
    expect(Address.safeParse(text).success).toBe(false);
  });

  test("an address of a range has no prefix", () => {
    expect(Address.safeParse("10.0.0.1/8").success).toBe(false);
  });
});

describe("bridgeProblem", () => {
  test.each([
    ["192.168.100.0", /is no address for a bridge/],
    ["192.168.100.255", /is no address for a bridge/],
    ["192.168.100.64/26", /is no address for a bridge/],
    ["192.168.100.127/26", /is no address for a bridge/],
    ["fd00::/64", /is no address for a bridge/],
    ["192.168.100.1/0", /1 to 30, not 0/],
    ["192.168.100.1/31", /1 to 30, not 31/],
    ["192.168.100.1/32", /1 to 30, not 32/],
    ["fd00::1/127", /1 to 126, not 127/],
    ["fd00::1/0", /1 to 126, not 0/],
  ])("%s", (text, problem) => {
    expect(bridgeProblem(bridgeAddress(text))).toMatch(problem);
  });

  test("the last address of an IPv6 subnet is a host", () => {
    expect(bridgeProblem(bridgeAddress("fd00::ffff:ffff:ffff:ffff/64"))).toBeUndefined();
  });
});

describe("rangeProblem", () => {
  test.each<[string, string, string, RegExp | undefined]>([
    ["192.168.100.1", "192.168.100.10", "192.168.100.100", undefined],
    ["192.168.100.1", "192.168.100.2", "192.168.100.2", undefined],
    ["192.168.100.1", "192.168.100.2", "192.168.100.254", undefined],
    ["192.168.100.1", "192.168.100.100", "192.168.100.10", /192.168.100.10 comes before/],
    ["192.168.100.1", "192.168.100.9", "192.168.100.10", undefined],
    ["192.168.100.1", "192.168.100.0", "192.168.100.10", /192.168.100.0 is not a host/],
    ["192.168.100.1", "192.168.100.10", "192.168.100.255", /255 is not a host/],
    ["192.168.100.1", "192.168.101.10", "192.168.101.20", /192.168.101.10 is not a host/],
    ["192.168.100.1", "192.168.100.10", "192.168.101.20", /192.168.101.20 is not a host/],
    ["192.168.100.1/22", "192.168.100.10", "192.168.103.254", undefined],
    ["192.168.100.1/25", "192.168.100.10", "192.168.100.127", /127 is not a host/],
    ["192.168.100.1", "fd00::10", "fd00::20", /not of the same family/],
    ["fd00::1", "fd00::10", "192.168.100.20", /192.168.100.20 is not of the same family/],
    ["fd00::1", "fd00::10", "fd00::ffff", undefined],
    ["fd00::1", "fd00::ffff:ffff:ffff:fff0", "fd00::ffff:ffff:ffff:ffff", undefined],
    ["fd00::1", "fd00::", "fd00::10", /fd00:: is not a host/],
    ["fd00::1", "fd00:0:0:1::10", "fd00:0:0:1::20", /is not a host/],
    ["fd00::1", "fd00::20", "fd00::10", /comes before/],
  ])("%s with %s to %s: %s", (subnet, start, end, problem) => {
    const found = rangeProblem(bridgeAddress(subnet), start, end);
    problem ? expect(found).toMatch(problem) : expect(found).toBeUndefined();
  });

  const dotted = (n: number) => [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join(".");
  test("every range of hosts of an IPv4 subnet is good, and every address outside is not", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 8, max: 30 }),
        fc.nat(0xffffffff),
        fc.nat(),
        fc.nat(),
        fc.nat(0xffffffff),
        (prefix, base, a, b, other) => {
          const size = 2 ** (32 - prefix);
          const first = base - (base % size);
          const [from = 0, to = 0] = [a, b]
            .map((n) => first + 1 + (n % (size - 2)))
            .sort((x, y) => x - y);
          const bridge = bridgeAddress(`${dotted(first + 1)}/${prefix}`);
          expect(bridgeProblem(bridge)).toBeUndefined();
          expect(rangeProblem(bridge, dotted(from), dotted(to))).toBeUndefined();
          fc.pre(other < first || other >= first + size);
          expect(rangeProblem(bridge, dotted(from), dotted(other))).toBeDefined();
        },
      ),
    );
  });
});

// as libvirt 9.0 accepts and refuses them
test.each([
  ["10.0.0.2", "10.0.255.255", undefined],
  ["10.1.0.0", "10.1.255.255", undefined],
  ["10.0.0.2", "10.1.0.1", /^10.0.0.2 to 10.1.0.1 is too large for libvirt: .* one \/16,/],
  ["10.0.255.1", "10.1.0.5", /one \/16,/],
  ["10.0.0.2", "10.9.0.1", /one \/16,/],
  ["fd00::2", "fd00::ffff", undefined],
  ["fd00::2", "fd00::1:0", /one \/112,/],
  ["fd00::fff0", "fd00::1:5", /one \/112,/],
])("the size of a DHCP range, %s to %s: %s", (start, end, problem) => {
  const text = rangeSizeProblem(start, end);
  problem ? expect(text).toMatch(problem) : expect(text).toBeUndefined();
});

test("overlap: whether one subnet lies in the other", () => {
  const [a, wide, other] = [
    { address: "192.168.100.1", prefix: 24 },
    { address: "192.168.0.1", prefix: 16 },
    { address: "192.168.101.1", prefix: 24 },
  ];
  expect([overlap(a, a), overlap(a, wide), overlap(wide, a), overlap(a, other)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
});
