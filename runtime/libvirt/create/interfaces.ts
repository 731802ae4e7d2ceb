/** The interfaces of a new domain: networks and bridges that are there, and MAC addresses that nobody has. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { randomMac } from "../domain/domain.ts";
import { type Macs, readMacs } from "../domain/macs.ts";
import { pathExists } from "../program.ts";
import { keyValues } from "../virsh-output.ts";
import type { DefinedInterface, Hardware, Machine } from "./definition.ts";
import { inField } from "./field.ts";
import type { DomainWish, NetworkWish } from "./wish.ts";

export async function planInterfaces(
  ctx: Context,
  { networks, start }: DomainWish,
  { system }: Hardware,
): Promise<DefinedInterface[]> {
  if (networks.length === 0) return [];
  const taken = await readMacs(ctx);
  const given = networks.map(({ mac }) => mac);
  const interfaces: DefinedInterface[] = [];
  for (const [index, wish] of networks.entries()) {
    const field = `networks[${index}]`;
    const { mac = freeMac(taken), model = system?.isWindows ? "e1000e" : "virtio" } = wish;
    if (given.indexOf(mac) >= 0 && given.indexOf(mac) < index) {
      const text = `${field}.mac: ${mac} is that of networks[${given.indexOf(mac)}] already`;
      throw new HyperError("invalid_input", text);
    }
    assertOwnMac(taken, field, mac);
    interfaces.push({ ...(await findConnection(ctx, field, wish, start)), mac, model });
    taken.set(mac, []);
  }
  return interfaces;
}

function assertOwnMac(taken: Macs, field: string, mac: string, domain?: string) {
  const owner = taken.get(mac)?.find((name) => name !== domain);
  if (owner === undefined) return;
  const text = `${field}.mac: domain ${owner} has ${mac} already`;
  throw new HyperError("in_use", text, { details: { domains: [owner] } });
}

/** Throws `in_use` if another domain, made at the same time, has one of the addresses of a domain. */
export async function assertOwnMacs(ctx: Context, { name, interfaces }: Machine) {
  if (interfaces.length === 0) return;
  const taken = await readMacs(ctx);
  for (const [index, { mac }] of interfaces.entries())
    assertOwnMac(taken, `networks[${index}]`, mac, name);
}

function freeMac(taken: Macs): string {
  const mac = randomMac();
  return taken.has(mac) ? freeMac(taken) : mac;
}

/** Throws `not_found` for what is not there, and `not_active` for a network with which the domain could not start. */
async function findConnection(
  ctx: Context,
  field: string,
  { network = "default", bridge }: NetworkWish,
  start: boolean,
): Promise<Pick<DefinedInterface, "network" | "bridge">> {
  if (bridge !== undefined) {
    await assertBridge(ctx, `${field}.bridge`, bridge);
    return { bridge };
  }
  const info = await inField(`${field}.network`, () =>
    ctx.virsh(["net-info", "--network", network]),
  ).catch((error: HyperError) => {
    if (error.code !== "not_found" || network !== "default") throw error;
    const text = `${error.message}; create it, name another, or give networks: [] for none`;
    throw new HyperError("not_found", text, { cause: error });
  });
  const name = info.match(/^Name: {11}(.*)$/m)?.[1] ?? network; // the caller may have given its UUID
  if (start && keyValues(info).Active !== "yes") {
    const text = `${field}.network: network ${name} is not active, so the domain could not start; start it first (network/start)`;
    throw new HyperError("not_active", text);
  }
  return { network: name };
}

async function assertBridge(ctx: Context, field: string, bridge: string) {
  const device = `/sys/class/net/${bridge}`;
  if (await pathExists(ctx, `${device}/bridge`)) return;
  if (!(await pathExists(ctx, device)))
    throw new HyperError("not_found", `${field}: the hypervisor has no bridge ${bridge}`);
  const text = `${field}: ${bridge} is an interface of the hypervisor, but no Linux bridge`;
  throw new HyperError("invalid_input", text);
}
