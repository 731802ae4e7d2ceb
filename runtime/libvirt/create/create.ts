/**
 * New domains. Everything is looked at first; then all is made, or nothing is left. `createDomain(ctx,
 * DomainWish.parse({ name, disks: [{ volume }] }))` is the way in for imports too.
 */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { staticAddresses } from "../cloud-init/network-config.ts";
import { waitForGuest } from "../domain/wait-for-guest.ts";
import type { Journal } from "../journal.ts";
import { throwIfCancelled, withRollback } from "../rollback.ts";
import { XmlDocument } from "../xml-document.ts";
import { type Created, readCreated } from "./created.ts";
import { domainDefinition } from "./definition.ts";
import { assertOwnImages } from "./existing.ts";
import { assertOwnMacs } from "./interfaces.ts";
import { makeDisks } from "./make-disks.ts";
import { type Origin, type Plan, planDomain } from "./plan.ts";
import { addSeed } from "./seed.ts";
import type { DomainWish } from "./wish.ts";

export async function createDomain(
  ctx: Context,
  wish: DomainWish,
  origin: Origin = {},
): Promise<Created> {
  ctx.checkDomain(wish.name);
  const plan = await planDomain(ctx, wish, origin);
  const created = await withRollback(ctx, `creation of domain ${wish.name}`, (journal) =>
    makeDomain(ctx, journal, wish, plan),
  );
  return wish.wait ? awaitGuest(ctx, created, wish) : created;
}

async function makeDomain(
  ctx: Context,
  journal: Journal,
  wish: DomainWish,
  { machine, disks, seedPool, canonicalMachine, whyEmulated }: Plan,
): Promise<Created> {
  const { uuid } = machine;
  await makeDisks(ctx, journal, disks);
  const definition = new XmlDocument(`${domainDefinition(machine)}`);
  const { seed, drives } = await addSeed(ctx, journal, definition, wish, { uuid, pool: seedPool });
  throwIfCancelled(ctx);
  ctx.progress({ phase: "defining the domain", percent: 100 });
  ctx.log.info(`Domain ${wish.name} is defined with the UUID ${uuid}.`);
  await journal.track({ kind: "domain", name: uuid }, () =>
    ctx.virsh(["define", "--file", { text: `${definition}` }]),
  );
  const asked = { ...machine, machine: canonicalMachine, disks: [...machine.disks, ...drives] };
  const created = await readCreated(ctx, asked, disks);
  await assertOwnMacs(ctx, machine);
  await assertOwnImages(ctx, wish.name, disks);
  throwIfCancelled(ctx);
  if (wish.autostart) await ctx.virsh(["autostart", "--domain", uuid]);
  if (wish.start) await ctx.virsh(["start", "--domain", uuid]);
  const reasons: Created["reasons"] = whyEmulated ? { virt_type: whyEmulated } : {};
  return { ...created, seed, started: wish.start, autostart: wish.autostart, reasons };
}

/** What is created stays, whether its guest comes or not, and also where the job that waits is cut off. */
export async function awaitGuest(
  ctx: Context,
  created: Created,
  { wait, cloud_init }: Pick<DomainWish, "wait" | "cloud_init">,
): Promise<Created> {
  if (!wait) return created;
  await ctx.job?.keep();
  const known = staticAddresses(cloud_init?.network);
  try {
    return { ...created, guest: await waitForGuest(ctx, created.uuid, wait, known) };
  } catch (error) {
    if (!(error instanceof HyperError)) throw error;
    const details = { ...error.details, uuid: created.uuid, macs: created.macs };
    const text = `${error.message}; the domain is created and stays`;
    throw new HyperError(error.code, text, { cause: error, details });
  }
}
