/** The subnet of a network that comes without one. */
import { describe, expect, test } from "vitest";
import { freeSubnet } from "../../../../runtime/libvirt/network/free-subnet.ts";
import { answering } from "../../../fixtures/fake.ts";

describe("freeSubnet", () => {
  /** A hypervisor with one network for each `<ip>`. */
  const taken = (...ips: string[]) =>
    answering((verb, ...words) =>
      verb === "net-list"
        ? `${ips.map((_, i) => `n${i}`).join("\n")}\n\n`
        : `<network><name>n</name><ip ${ips[Number(words[1]?.slice(1))]}/></network>`,
    );
  const third = async (...ips: string[]) => (await freeSubnet(taken(...ips)))[0].address;

  test("the first that no network has, with a range over its hosts", async () => {
    expect(await freeSubnet(taken())).toEqual([
      { family: "ipv4", address: "192.168.100.1", prefix: 24 },
      { start: "192.168.100.2", end: "192.168.100.254" },
    ]);
  });

  test.each([
    [["address='192.168.100.1' netmask='255.255.255.0'"], "192.168.101.1"],
    [["address='192.168.100.200' prefix='30'"], "192.168.101.1"],
    [["address='192.168.101.1' prefix='24'"], "192.168.100.1"],
    [
      ["address='192.168.101.1' prefix='24'", "address='192.168.100.1' prefix='24'"],
      "192.168.102.1",
    ],
    [["address='192.168.96.1' prefix='20'"], "192.168.112.1"],
    [["address='10.0.0.1' prefix='8'"], "192.168.100.1"],
    [["address='10.0.0.1'"], "192.168.100.1"],
    [["address='192.168.7.1'"], "192.168.100.1"],
    [["address='192.168.100.1'"], "192.168.101.1"],
    [["address='172.16.0.1'", "family='ipv6' address='fd00::1'"], "192.168.100.1"],
    [["family='ipv6' address='fd00::1' prefix='64'"], "192.168.100.1"],
  ])("beside %j: %s", async (ips, address) => {
    expect(await third(...ips)).toBe(address);
  });

  test("none is free", async () => {
    await expect(third("address='192.168.0.1' prefix='16'")).rejects.toMatchObject({
      code: "in_use",
      message: expect.stringMatching(/give one/),
    });
  });
});
