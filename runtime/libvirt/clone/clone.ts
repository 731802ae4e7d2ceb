/** The clone engine: a new domain from another, with disks and an identity of its own. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { programError } from "../../hypervisor/virsh-errors.ts";
import { domainRef, listDomains } from "../domain/domain.ts";
import { type Journal, throwIfCancelled, withRollback } from "../rollback.ts";
import { keyValues } from "../virsh-output.ts";
import { XmlDocument } from "../xml-document.ts";
import { makeDisks, retargetDisk } from "./disks.ts";
import {
  assignIdentity,
  type Identity,
  nvramFile,
  resolveConflicts,
  siblingPath,
} from "./identity.ts";
import { type CloneRequest, type Copy, planDisks } from "./plan.ts";

/** What template/create and template/deploy do besides. */
export interface CloneSteps {
  /** Change the definition before it is stored. */
  edit?(doc: XmlDocument): void;
  /** Work on the disks before the domain exists. */
  prepare?(disks: Copy[], noted: Journal): Promise<void>;
  /** Work on the domain; a failure removes it. */
  finish?(domain: string): Promise<void>;
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
  const { source, target, newMac = true, linked = false } = request;
  ctx.checkDomain(target);
  const ref = await domainRef(ctx, source);
  const [info = "", text = ""] = await ctx.virsh.all([
    ["dominfo", "--domain", ref],
    ["dumpxml", "--domain", ref, "--inactive", "--security-info"],
  ]);
  const state = keyValues(info).State;
  const paused = state === "paused";
  if ((state !== "shut off" && !paused) || (linked && paused)) {
    const need = linked ? "shut it down first" : "shut it down or pause it first";
    throw new HyperError("in_use", `source: domain ${source} is ${state}; ${need}`);
  }
  if ((await listDomains(ctx, "--all")).some(({ name }) => name === target)) {
    throw new HyperError("already_exists", `domain '${target}' already exists`);
  }
  const doc = new XmlDocument(text);
  const plans = await planDisks(ctx, doc, request);
  return withRollback(ctx, `clone of ${source} to ${target}`, async (noted) => {
    await makeDisks(ctx, noted, plans, { linked, paused });
    if ((await ctx.virsh(["domstate", "--domain", ref])).trim() !== state) {
      throw new HyperError("in_use", `source: domain ${source} went on while it was copied`);
    }
    await copyNvram(ctx, noted, doc, source, target);
    const identity = assignIdentity(doc, target, newMac);
    resolveConflicts(doc, source, target);
    for (const plan of plans) retargetDisk(doc, plan);
    for (const mark of doc.find("metadata", "hypersdk:template")) doc.remove(mark); // a clone is no template
    steps.edit?.(doc);
    const disks = plans.map(({ target: disk, path, format }) => ({ target: disk, path, format }));
    await steps.prepare?.(disks, noted);
    throwIfCancelled(ctx);
    await noted.track({ kind: "domain", name: identity.uuid }, () =>
      ctx.virsh(["define", "--file", { text: `${doc}` }]),
    );
    throwIfCancelled(ctx);
    await steps.finish?.(identity.uuid);
    throwIfCancelled(ctx);
    return { name: target, ...identity, disks };
  });
}

/** The firmware's variables; where the source has not started yet, libvirt makes them from the template. */
async function copyNvram(
  ctx: Context,
  noted: Journal,
  doc: XmlDocument,
  source: string,
  target: string,
) {
  const nvram = nvramFile(doc);
  if (!nvram) return;
  const { path } = nvram;
  const copy = siblingPath(path, source, target);
  nvram.set(copy);
  if ((await ctx.exec(["test", "-e", path])).exitCode !== 0) return;
  if ((await ctx.exec(["test", "-e", copy])).exitCode === 0) {
    throw new HyperError("already_exists", `the NVRAM file ${copy} exists already`);
  }
  await noted.track({ kind: "file", path: copy }, async () => {
    const done = await ctx.exec(["cp", "--preserve=mode,ownership", "--", path, copy]);
    if (done.exitCode !== 0) throw programError("cp", done);
  });
}
