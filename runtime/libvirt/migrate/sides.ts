/** The two ends of a migration, and what the source tells of the domain. */
import { HyperError } from "../../core/errors.ts";
import { settings } from "../../core/settings.ts";
import type { Context } from "../../hypervisor/context.ts";
import { domainRef, domainState, nameIn } from "../domain/domain.ts";
import { keyValues } from "../virsh-output.ts";
import { type Element, parseXml } from "../xml.ts";
import type { Route } from "./wish.ts";

export interface Sides {
  source: Context;
  target: Context;
  name: string;
  uuid: string;
  /** Such as running, paused or "shut off". */
  state: string;
  /** It has a QEMU, running or paused. */
  active: boolean;
  persistent: boolean;
  autostart: boolean;
  hasSavedState: boolean;
  /** The stored definition, with its secrets. */
  text: string;
  domain: Element;
  route: Route;
}

export async function readSides(ctx: Context, route: Route): Promise<Sides> {
  const { to } = route;
  if (to === ctx.host)
    throw new HyperError("invalid_input", `to: ${to} is the hypervisor that the domain is on`);
  const target = targetOf(ctx, to);
  const ref = await domainRef(ctx, route.name);
  const [info = "", text = ""] = await ctx.virsh.all([
    ["dominfo", "--domain", ref],
    ["dumpxml", "--domain", ref, "--inactive", "--security-info"],
  ]);
  const { UUID: uuid = ref, State: state = "", ...rest } = keyValues(info);
  const { live: active, persistent } = domainState(info);
  return {
    ...{ source: ctx, target, name: nameIn(info) ?? route.name, uuid, state, active, persistent },
    autostart: rest.Autostart === "enable",
    hasSavedState: rest["Managed save"] === "yes",
    ...{ text, domain: parseXml(text, "domain"), route },
  };
}

/** Throws `invalid_input` for an alias that is not configured. */
export function targetOf(ctx: Context, to: string): Context {
  const { hosts } = settings();
  if (Object.hasOwn(hosts, to)) return ctx.forHost(to);
  const known = Object.keys(hosts).join(", ");
  throw new HyperError(
    "invalid_input",
    `to: unknown hypervisor ${JSON.stringify(to)}; configured: ${known}`,
  );
}
