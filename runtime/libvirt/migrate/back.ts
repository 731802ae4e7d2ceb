/** Back to where a domain was: the hypervisor that it came from still has it, as it was then. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { stateAndReason } from "../arrival.ts";
import { readDisks } from "../disk.ts";
import { domainRef, domainState, nameIn } from "../domain/domain.ts";
import { findImage } from "../storage/locate.ts";
import { keyValues, lines } from "../virsh-output.ts";
import { parseXml } from "../xml.ts";
import { UNDEFINE } from "./release.ts";

/**
 * Undefines the domain here, if the other hypervisor has it shut off with all its disks. The files of its disks stay
 * here. Throws `not_found` where the other has it no more.
 */
export async function goBack(ctx: Context, name: string, origin: Context) {
  const info = await ctx.virsh(["dominfo", "--domain", await domainRef(ctx, name)]);
  const { UUID: uuid = "", State, ...rest } = keyValues(info);
  const there = await stateAndReason(origin, uuid);
  if (there === undefined)
    throw new HyperError("not_found", `backup_id: ${origin.host} has domain ${name} no more`);
  const itsName = nameIn(await origin.virsh(["dominfo", "--domain", uuid])) ?? name;
  await ctx.rights.lookUp(origin.host, [itsName]);
  origin.checkDomain(itsName); // it may have been renamed there
  if (!there.startsWith("shut off"))
    throw new HyperError("in_use", `backup_id: domain ${name} is ${there} on ${origin.host}`);
  if (domainState(info).live) {
    const text = `vm_id: domain ${name} is ${State} here; shut it down first. What it has written since it came is not on ${origin.host}`;
    throw new HyperError("in_use", text);
  }
  if (rest["Managed save"] === "yes") {
    const text = `vm_id: domain ${name} has a managed save here, which would be lost; start it, or remove that`;
    throw new HyperError("in_use", text);
  }
  await assertKnown(ctx, origin, uuid, name);
  await assertWhole(origin, uuid, name);
  const text = await ctx.virsh(["dumpxml", "--domain", uuid, "--inactive"]);
  await ctx.virsh(["undefine", "--domain", uuid, ...UNDEFINE, "--keep-nvram", "--keep-tpm"]);
  if (rest.Autostart === "enable") await origin.virsh(["autostart", "--domain", uuid]);
  if ((await stateAndReason(ctx, uuid)) !== undefined)
    throw new HyperError("virsh_failed", `virsh undefined ${name}, but libvirt still has it`);
  const disks = readDisks(parseXml(text, "domain")).filter(isOwn);
  return { kept_files: disks.flatMap(({ path }) => path ?? []) };
}

const isOwn = ({
  device,
  readonly,
  shareable,
}: {
  device: string;
  readonly: boolean;
  shareable: boolean;
}) => device === "disk" && !readonly && !shareable;

/** Throws for snapshots that were made here: the other has none of their data. */
async function assertKnown(ctx: Context, origin: Context, uuid: string, name: string) {
  const list = ["snapshot-list", "--domain", uuid, "--name"];
  const [here, there] = [lines(await ctx.virsh(list)), lines(await origin.virsh(list))];
  const own = here.filter((snapshot) => !there.includes(snapshot));
  if (own.length === 0) return;
  const text = `vm_id: domain ${name} has snapshots here that ${origin.host} has not (${own.join(", ")}), which would be lost; delete them first`;
  throw new HyperError("in_use", text);
}

/** Throws unless every disk is there; one that cannot be seen is not. */
async function assertWhole(origin: Context, uuid: string, name: string) {
  const text = await origin.virsh(["dumpxml", "--domain", uuid, "--inactive"]);
  for (const disk of readDisks(parseXml(text, "domain")))
    if (disk.path || disk.volume) await findImage(origin, disk, name);
}
