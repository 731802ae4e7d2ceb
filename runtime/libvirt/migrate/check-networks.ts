/** Checks of the networks, bridges and devices that the domain's interfaces are connected to. */
import type { Context } from "../../hypervisor/context.ts";
import { pathExists } from "../program.ts";
import { keyValues } from "../virsh-output.ts";
import { attribute, children } from "../xml.ts";
import { type Check, fail, pass, warning } from "./check.ts";
import type { Sides } from "./sides.ts";

export async function checkNetworks({ target, domain, active }: Sides): Promise<Check[]> {
  const interfaces = children(domain, "devices", "interface");
  const source = (kind: string, key: string) => [
    ...new Set(
      interfaces
        .filter((one) => one["@type"] === kind)
        .flatMap((one) => attribute(one, key, "source") ?? []),
    ),
  ];
  const checks = [
    ...(await Promise.all(
      source("network", "network").map((name) => network(target, name, active)),
    )),
    ...(await Promise.all(source("bridge", "bridge").map((name) => link(target, name, "bridge")))),
    ...(await Promise.all(source("direct", "dev").map((name) => link(target, name, "device")))),
  ];
  const other = [...new Set(interfaces.map((one) => `${one["@type"]}`))].filter(
    (type) => !/^(network|bridge|direct|user|hostdev)$/.test(type),
  );
  if (other.length > 0)
    checks.push(warning("network", `interfaces of type ${other.join(", ")} are not looked at`));
  return checks.length > 0 ? checks : [pass("network", "it needs no network of its host")];
}

async function network({ virsh, host }: Context, name: string, active: boolean): Promise<Check> {
  const [info] = await virsh.settled([["net-info", "--network", name]]);
  if (typeof info !== "string") {
    if (info?.code !== "not_found") throw info;
    return fail("network", `${host} has no network ${name}`);
  }
  if (keyValues(info).Active === "yes") return pass("network", `${host} has the network ${name}`);
  const text = `the network ${name} of ${host} is not active`;
  return active ? fail("network", text) : warning("network", text);
}

async function link(ctx: Context, name: string, kind: string): Promise<Check> {
  const { host } = ctx;
  if (await pathExists(ctx, `/sys/class/net/${name}`))
    return pass("network", `${host} has the ${kind} ${name}`);
  return fail("network", `${host} has no ${kind} ${name}`);
}
