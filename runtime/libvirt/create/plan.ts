/** The plan of a new domain: everything is looked at, and nothing is made yet. */
import { randomUUID } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { assertPossible } from "../clone/disks.ts";
import { listDomains } from "../domain/domain.ts";
import { assertWaitable } from "../domain/wait-for-guest.ts";
import { parseXml } from "../xml.ts";
import { readCapabilities } from "./capabilities.ts";
import { cdromDisk, findIso } from "./cdrom.ts";
import { type BootDevice, domainDefinition, type Machine } from "./definition.ts";
import { type Origin, planDisks } from "./disks.ts";
import { chooseHardware } from "./hardware.ts";
import { planInterfaces } from "./interfaces.ts";
import { assertNoNvram } from "./nvram.ts";
import { findSystem } from "./osinfo.ts";
import type { PlannedDisk } from "./planned.ts";
import { assertSpace } from "./pools.ts";
import { planSeed } from "./seed.ts";
import { cdromBus } from "./targets.ts";
import type { DomainWish } from "./wish.ts";

export type { Origin };

export interface Plan {
  machine: Machine;
  /** Those of the machine that are no CD-ROMs. */
  disks: PlannedDisk[];
  /** Of the volume for cloud-init. */
  seedPool: string | undefined;
  canonicalMachine: string;
  whyEmulated: string | undefined;
}

/** Throws for everything that can be known to fail. */
export async function planDomain(
  ctx: Context,
  wish: DomainWish,
  origin: Origin = {},
): Promise<Plan> {
  const { name, memory, vcpus } = wish;
  const has = await readCapabilities(ctx, wish);
  const hardware = chooseHardware(wish, has, await findSystem(ctx, wish.osinfo));
  if ((await listDomains(ctx, "--all")).some((one) => one.name === name))
    throw new HyperError("already_exists", `name: domain '${name}' already exists`);
  await assertNoNvram(ctx, wish, hardware);
  const interfaces = await planInterfaces(ctx, wish, hardware);
  const { disks, nameNext, needs } = await planDisks(ctx, wish, hardware, { ...has, ...origin });
  const iso = wish.cdrom === undefined ? undefined : await findIso(ctx, wish.cdrom);
  const bus = cdromBus(hardware);
  const cdroms = iso === undefined ? [] : [cdromDisk(iso, bus, nameNext(bus))];
  await assertSpace(ctx, needs);
  for (const linked of [true, false]) {
    const copies = disks.flatMap(({ make }) => (make && "copy" in make ? make.copy : []));
    const own = copies.filter((copy) => copy.linked === linked);
    await assertPossible(ctx, own, { linked, paused: false });
  }
  const boot = wish.boot ?? usualBoot(disks.length > 0, iso !== undefined);
  const named = { name, uuid: randomUUID(), memory, vcpus };
  const machine = { ...hardware, ...named, interfaces, boot, disks: [...disks, ...cdroms] };
  if (wish.wait) assertWaitable(parseXml(`${domainDefinition(machine)}`, "domain"), wish.wait);
  const seedPool = wish.cloud_init && (await planSeed(ctx, wish, disks));
  const { canonicalMachine, whyEmulated } = has;
  return { machine, disks, seedPool, canonicalMachine, whyEmulated };
}

/** An empty disk is passed over, so that the first start is from the CD-ROM and later ones are from the disk. */
function usualBoot(hasDisk: boolean, hasCdrom: boolean): BootDevice[] {
  const found: BootDevice[] = [
    ...(hasDisk ? ["disk" as const] : []),
    ...(hasCdrom ? ["cdrom" as const] : []),
  ];
  return found.length > 0 ? found : ["network"];
}
