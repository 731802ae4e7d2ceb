/** POST /libvirt/network/create: define a network; `start` and `autostart` on request. */
import pLimit from "p-limit";
import * as z from "zod";
import { HyperError } from "#runtime/core/errors.ts";
import { defineFunction } from "#runtime/function/define.ts";
import { InterfaceName, NewName } from "#runtime/libvirt/names.ts";
import { assertBridgeIsFree, mayTakeInterfaces } from "#runtime/libvirt/network/bridge.ts";
import { networkDefinition } from "#runtime/libvirt/network/definition.ts";
import { Network, readNetwork } from "#runtime/libvirt/network/network.ts";
import {
  Address,
  bridgeAddress,
  bridgeProblem,
  rangeProblem,
  rangeSizeProblem,
  Subnet,
} from "#runtime/libvirt/network/subnet.ts";
import { rollback } from "#runtime/libvirt/rollback.ts";

const Input = z
  .strictObject({
    name: NewName,
    bridge: InterfaceName.optional().describe(
      "name of the bridge to create; with forward bridge, of the existing bridge to use",
    ),
    forward: z
      .enum(["nat", "route", "open", "bridge", "none"])
      .default("nat")
      .describe(
        "how guests reach other networks: nat, route, open, bridge (an existing host bridge) or none",
      ),
    subnet: Subnet.optional().describe(
      "the bridge's address; /24 (IPv6: /64) unless written with a prefix",
    ),
    ip_start: Address.optional().describe("first address that DHCP gives out"),
    ip_end: Address.optional().describe("last address that DHCP gives out"),
    start: z.boolean().default(false).describe("start it now"),
    autostart: z.boolean().default(false).describe("start it with the hypervisor"),
  })
  .superRefine((input, { addIssue }) => {
    const refuse = (field: keyof typeof input, message: string) =>
      addIssue({ code: "custom", path: [field], message });
    const { bridge, forward, subnet, ip_start, ip_end } = input;
    if (forward === "bridge" && !bridge)
      refuse("bridge", "forward bridge needs the name of a bridge of the hypervisor");
    if (forward === "bridge" && subnet)
      refuse("subnet", "not with forward bridge: its addresses come from outside");
    if (!ip_start !== !ip_end)
      refuse(ip_start ? "ip_end" : "ip_start", "a DHCP range needs both ip_start and ip_end");
    if (ip_start && !subnet) refuse("subnet", "a DHCP range needs the subnet");
    if (!subnet) return;
    const address = bridgeAddress(subnet);
    const problem = bridgeProblem(address);
    if (problem) return refuse("subnet", problem);
    const range = ip_start && ip_end && rangeProblem(address, ip_start, ip_end);
    if (range) return refuse("ip_start", `DHCP range: ${range}`);
    const size = ip_start && ip_end && rangeSizeProblem(ip_start, ip_end);
    if (size) refuse("ip_end", `DHCP range: ${size}`);
  });

/** A chosen subnet is taken only once the network is defined, and libvirt can choose one bridge name twice. */
const oneAtATime = pLimit(1);

export default defineFunction({
  method: "POST",
  access: "admin",
  summary: "Define a network",
  status: 201,
  input: Input,
  output: Network,
  message: ({ name }) => `Network ${name} created`,
  examples: [
    {
      name: "vm-network",
      bridge: "virbr1",
      forward: "nat",
      subnet: "192.168.100.1",
      ip_start: "192.168.100.10",
      ip_end: "192.168.100.100",
    },
  ],

  async run(input, ctx) {
    const { name, bridge = null, forward, start, autostart } = input;
    if (bridge !== null && (start || autostart) && (await mayTakeInterfaces(ctx)))
      await assertBridgeIsFree(ctx, { name, active: false, bridge, forward });
    await oneAtATime(async () => {
      const definition = await networkDefinition(ctx, input);
      await ctx.virsh(["net-define", "--file", { text: `${definition}` }]);
    });
    try {
      if (autostart) await ctx.virsh(["net-autostart", "--network", name]);
      if (start) await ctx.virsh(["net-start", "--network", name]);
    } catch (error) {
      const { code, message } = error as HyperError;
      if (code === "outcome_unknown" || code === "timed_out") {
        // the network may run by now, so it must not be removed
        throw new HyperError(code, `${message} The network is left defined.`, { cause: error });
      }
      await rollback(error, "the network is left defined", () =>
        ctx.virsh(["net-undefine", "--network", name]),
      );
    }
    return readNetwork(ctx, name);
  },
});
