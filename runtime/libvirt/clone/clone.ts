/** The clone engine: a new domain from another, with disks and an identity of its own. */
import { HyperError } from "../../core/errors.ts";
import type { Progress } from "../../core/progress.ts";
import type { Context } from "../../hypervisor/context.ts";
import { dropSeed } from "../cloud-init/attach-seed.ts";
import { domainRef, listDomains } from "../domain/domain.ts";
import type { Journal } from "../journal.ts";
import { loginOf } from "../login.ts";
import { throwIfCancelled, withRollback } from "../rollback.ts";
import { needsRoot } from "../storage/image-access.ts";
import { keyValues } from "../virsh-output.ts";
import { XmlDocument } from "../xml-document.ts";
import { assertPossible, makeDisks } from "./disks.ts";
import { assignIdentity, type Identity, resolveConflicts } from "./identity.ts";
import { copyNvram, type Nvram, planNvram } from "./nvram.ts";
import { type CloneRequest, type Copy, type Plan, planDisks } from "./plan.ts";
import { retargetDisk } from "./retarget.ts";

/** Further steps, of template/create and template/deploy. */
export interface CloneSteps {
  /** @default the call's */
  progress?: Progress;
  /** Change the definition before it is stored. */
  edit?(doc: XmlDocument): void;
  /** The field of the request that has `prepare` write to the new disks. */
  writes?: string | undefined;
  /** Work on the disks before the domain exists; the definition may be changed once more. */
  prepare?(disks: Copy[], journal: Journal, draft: Draft): Promise<void>;
  /** Work on the domain; a failure removes it. */
  finish?(domain: string): Promise<void>;
}

/** A domain that is not defined yet. */
export interface Draft extends Identity {
  doc: XmlDocument;
  /** Of its first disk that is in a pool. */
  pool: string | undefined;
}

export interface Clone extends Identity {
  name: string;
  disks: Copy[];
}

export async function cloneDomain(
  ctx: Context,
  request: CloneRequest,
  steps: CloneSteps = {},
): Promise<Clone> {
  const { source, target } = request;
  ctx.checkDomain(target);
  const from = await readSource(ctx, request);
  const plans = await planDisks(ctx, from.doc, request);
  const { linked = false } = request;
  await assertPossible(ctx, plans, { linked, paused: from.state === "paused" });
  if (steps.writes && plans.some(({ pool }) => pool) && !(await loginOf(ctx)).reads_images)
    throw needsRoot(ctx, `${steps.writes}: this writes to the new disks`);
  const nvram = await planNvram(ctx, from.doc, request);
  return withRollback(ctx, `clone of ${source} to ${target}`, async (journal) => {
    const { progress = ctx.progress } = steps;
    const identity = await build(ctx, journal, request, from, plans, nvram, progress);
    steps.edit?.(from.doc);
    const disks = plans.map(({ target: disk, path, format }) => ({ target: disk, path, format }));
    const pool = plans.find((plan) => plan.pool)?.pool;
    await steps.prepare?.(disks, journal, { ...identity, doc: from.doc, pool });
    progress({ phase: "defining the domain", percent: 100 }); // all that can be measured is done
    await define(ctx, journal, identity.uuid, from.doc);
    await steps.finish?.(identity.uuid);
    throwIfCancelled(ctx);
    return { name: target, ...identity, disks };
  });
}

interface Source {
  ref: string;
  state: string;
  /** The source's definition, which is edited into the clone's. */
  doc: XmlDocument;
}

/** Reads the source. Throws unless it is off (or paused, for copies) and the target's name is free. */
async function readSource(ctx: Context, { source, target, linked }: CloneRequest): Promise<Source> {
  const ref = await domainRef(ctx, source);
  const [info = "", text = ""] = await ctx.virsh.all([
    ["dominfo", "--domain", ref],
    ["dumpxml", "--domain", ref, "--inactive", "--security-info"],
  ]);
  const state = `${keyValues(info).State}`;
  if (state !== "shut off" && (state !== "paused" || linked)) {
    const need = linked ? "shut it down first" : "shut it down or pause it first";
    throw new HyperError("in_use", `source: domain ${source} is ${state}; ${need}`);
  }
  if ((await listDomains(ctx, "--all")).some(({ name }) => name === target)) {
    throw new HyperError("already_exists", `domain '${target}' already exists`);
  }
  return { ref, state, doc: new XmlDocument(text) };
}

/** Makes the clone's disks and NVRAM, and edits the source's definition into the clone's. */
async function build(
  ctx: Context,
  journal: Journal,
  { source, target, newMac = true, linked = false }: CloneRequest,
  { ref, state, doc }: Source,
  plans: Plan[],
  nvram: Nvram | undefined,
  progress: Progress,
): Promise<Identity> {
  await makeDisks(ctx, journal, plans, { linked, paused: state === "paused", progress });
  if ((await ctx.virsh(["domstate", "--domain", ref])).trim() !== state) {
    throw new HyperError("in_use", `source: domain ${source} went on while it was copied`);
  }
  if (nvram) await copyNvram(ctx, journal, nvram);
  const identity = assignIdentity(doc, target, newMac);
  resolveConflicts(doc, source, target);
  for (const plan of plans) retargetDisk(doc, plan);
  for (const mark of doc.find("metadata", "hypersdk:template")) doc.remove(mark); // a clone is no template
  dropSeed(doc); // it tells of the source, and goes with it
  return identity;
}

async function define(ctx: Context, journal: Journal, uuid: string, doc: XmlDocument) {
  throwIfCancelled(ctx);
  ctx.log.info(`The domain is defined with the UUID ${uuid}.`);
  await journal.track({ kind: "domain", name: uuid }, () =>
    ctx.virsh(["define", "--file", { text: `${doc}` }]),
  );
  throwIfCancelled(ctx);
}
