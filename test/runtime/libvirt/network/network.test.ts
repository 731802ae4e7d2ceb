/** A network as it is read, from texts that virsh really printed. */
import { describe, expect, test } from "vitest";
import { HyperError } from "../../../../runtime/core/errors.ts";
import { Network, readNetwork } from "../../../../runtime/libvirt/network/network.ts";
import { answering } from "../../../fixtures/fake.ts";

const INFO = `Name:           default
UUID:           dd8fe884-6c02-601e-7551-cca97df1c5df
Active:         yes
Persistent:     yes
Autostart:      no
Bridge:         virbr0
`;
const NAT = `<network>
  <name>default</name>
  <uuid>dd8fe884-6c02-601e-7551-cca97df1c5df</uuid>
  <forward mode='nat'/>
  <bridge name='virbr0' stp='on' delay='0'/>
  <ip address='192.168.122.1' netmask='255.255.255.0'>
    <dhcp>
      <range start='192.168.122.2' end='192.168.122.254'/>
    </dhcp>
  </ip>
</network>
`;
const ROUTED = `<network connections='1'>
  <name>it&apos;s &lt;a&gt; &quot;lan&quot;</name>
  <uuid>11111111-1111-4111-8111-111111111111</uuid>
  <forward dev='eth0' mode='route'>
    <interface dev='eth0'/>
  </forward>
  <bridge name='virbr7' stp='on' delay='0'/>
  <mtu size='9000'/>
  <mac address='52:54:00:01:02:03'/>
  <domain name='lan.example' localOnly='yes'/>
  <ip family='ipv4' address='10.7.0.1' prefix='22'>
    <dhcp>
      <range start='10.7.0.10' end='10.7.0.99'/>
      <range start='10.7.1.10' end='10.7.1.99'>
        <lease expiry='1' unit='hours'/>
      </range>
      <host mac='52:54:00:00:00:01' name='vm' ip='10.7.0.5'/>
    </dhcp>
  </ip>
  <ip address='10.8.0.1' netmask='255.255.240.0'/>
  <ip family='ipv6' address='fd00::1' prefix='64'/>
</network>
`;

/** A hypervisor with one network. */
const having = (definition: string, info = INFO) =>
  answering((verb) => (verb === "net-info" ? info : definition));

describe("readNetwork", () => {
  test("libvirt's default network, with a netmask", async () => {
    const fake = having(NAT);
    expect(Network.parse(await readNetwork(fake, "default"))).toEqual({
      name: "default",
      uuid: "dd8fe884-6c02-601e-7551-cca97df1c5df",
      active: true,
      persistent: true,
      autostart: false,
      bridge: "virbr0",
      forward: "nat",
      domain: null,
      mtu: null,
      ips: [
        {
          family: "ipv4",
          address: "192.168.122.1",
          prefix: 24,
          dhcp: [{ start: "192.168.122.2", end: "192.168.122.254" }],
        },
      ],
    });
    expect(fake.calls).toEqual([
      ["net-info", "--network", "default"],
      ["net-dumpxml", "--network", "default"],
    ]);
  });

  test("several addresses, prefixes and ranges; escaped names; mtu and domain", async () => {
    const network = Network.parse(await readNetwork(having(ROUTED), "x"));
    expect(network).toMatchObject({
      name: `it's <a> "lan"`,
      forward: "route",
      mtu: 9000,
      domain: "lan.example",
    });
    expect(network.ips).toEqual([
      {
        family: "ipv4",
        address: "10.7.0.1",
        prefix: 22,
        dhcp: [
          { start: "10.7.0.10", end: "10.7.0.99" },
          { start: "10.7.1.10", end: "10.7.1.99" },
        ],
      },
      { family: "ipv4", address: "10.8.0.1", prefix: 20, dhcp: [] },
      { family: "ipv6", address: "fd00::1", prefix: 64, dhcp: [] },
    ]);
  });

  test.each([
    ["", "none"],
    ["<forward/>", "nat"],
    ["<forward mode='bridge'/>", "bridge"],
    ["<forward mode='hostdev' managed='yes'/>", "hostdev"],
  ])("forward %j is %s; what is not there is null", async (forward, mode) => {
    const bare = `<network><name>n</name><uuid>u</uuid>${forward}</network>`;
    const info = "Name: n\nActive: no\nPersistent: no\nAutostart: no\n";
    expect(Network.parse(await readNetwork(having(bare, info), "n"))).toEqual({
      name: "n",
      uuid: "u",
      active: false,
      persistent: false,
      autostart: false,
      bridge: null,
      forward: mode,
      domain: null,
      mtu: null,
      ips: [],
    });
  });

  test.each([
    ["255.0.0.0", 8],
    ["255.255.255.252", 30],
    ["255.255.128.0", 17],
  ])("netmask %s is /%i", async (netmask, prefix) => {
    const text = NAT.replace("255.255.255.0", netmask);
    expect((await readNetwork(having(text), "default")).ips[0]?.prefix).toBe(prefix);
  });

  // as `ip addr` shows the bridges of libvirt 9.0
  test.each([
    ["address='10.0.0.1'", "ipv4", 8],
    ["address='127.255.0.1'", "ipv4", 8],
    ["address='128.0.0.1'", "ipv4", 16],
    ["address='172.16.0.1'", "ipv4", 16],
    ["address='191.255.0.1'", "ipv4", 16],
    ["address='192.168.7.1'", "ipv4", 24],
    ["address='223.1.1.1'", "ipv4", 24],
    ["family='ipv6' address='fd00:1::1'", "ipv6", 64],
    ["family='ipv6' address='10::1'", "ipv6", 64],
  ])("%s without prefix and netmask: %s, /%i", async (attributes, family, prefix) => {
    const text = `<network><name>n</name><ip ${attributes}/></network>`;
    expect((await readNetwork(having(text), "n")).ips).toMatchObject([{ family, prefix }]);
  });

  test("a network that does not exist", async () => {
    const { virsh } = answering(() => new HyperError("not_found", "Network not found: x"));
    await expect(readNetwork({ virsh }, "x")).rejects.toMatchObject({ code: "not_found" });
  });
});
