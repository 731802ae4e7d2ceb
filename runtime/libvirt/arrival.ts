/**
 * A domain that was on its way from one hypervisor to another: which of them has it now. It is asked before anything
 * that was made for it is removed, since whoever moved it may have been killed at any moment.
 */
import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { keyValues } from "./virsh-output.ts";

/** State and reason, such as `paused (migrating)`; undefined for a domain that the hypervisor does not have. */
export async function stateAndReason(
  { virsh }: Pick<Context, "virsh">,
  uuid: string,
): Promise<string | undefined> {
  const [state] = await virsh.settled([["domstate", "--domain", uuid, "--reason"]]);
  if (state instanceof HyperError && state.code === "not_found") return undefined;
  if (typeof state !== "string") throw state;
  return state.trim();
}

const isOff = (state: string) => /^(shut off|crashed)/.test(state);
/** Its memory has gone, or is going, to the other side. */
export const isHandedOver = (state: string) => /^paused \((migrating|post-copy.*)\)/.test(state);

/** Whether a target's domain that runs no more has gone on there: it is stored, or let go, at that moment alone. */
const hasRun = (state: string | undefined) =>
  /^(shut off|crashed|paused) \((?!failed|unknown|migrating|starting up)/.test(state ?? "");

/** A domain that is on its way. */
export interface Journey {
  /** The hypervisor that it comes from. */
  from: string;
  uuid: string;
  /** It runs; otherwise it is off. */
  live?: boolean | undefined;
}

/**
 * Whether the domain is the target's now: it runs there and not at its source, or its source has it no more. Throws
 * where one of them cannot be asked, and `in_use` where that cannot be known, or the guest is in two halves.
 */
export async function hasArrived(
  target: Context,
  { from, uuid, live = false }: Journey,
): Promise<boolean> {
  const [there, here] = await Promise.all([
    stateAndReason(target.forHost(from), uuid),
    stateAndReason(target, uuid),
  ]);
  if (there === undefined) return true; // the only copy, even if the target has not defined it
  if ([there, here].some((state) => state?.includes("(post-copy failed)")))
    throw brokenPostcopy(from, target.host, uuid);
  if (live && there === "shut off (migrated)") return true; // whatever has become of it since
  if (live && isHandedOver(there) && hasRun(here)) return true;
  const isUnknown =
    there === "shut off (unknown)"
      ? here === undefined || isOff(here)
      : isHandedOver(there) && here === "shut off (unknown)";
  if (live && isUnknown) {
    const text = `domain ${uuid} is ${there} on ${from}, and ${here ?? "not there"} on ${target.host}; on which of the two it ran last is not known`;
    throw new HyperError("in_use", text);
  }
  if (here === undefined || isOff(here) || isHandedOver(here)) return false;
  return isOff(there) || (here.startsWith("running") && isHandedOver(there));
}

const brokenPostcopy = (from: string, to: string, uuid: string) =>
  new HyperError(
    "in_use",
    `post-copy failed: domain ${uuid} runs on ${to}, and a part of its memory is on ${from} still; where that does not come by itself, resume it with \`virsh migrate --postcopy-resume\``,
  );

/** Resumes a domain that a broken migration has left paused, once libvirt does nothing with it any more. */
export async function letGoOn({ virsh, log }: Context, uuid: string) {
  const state = await stateAndReason({ virsh }, uuid);
  if (state !== "paused (migrating)") return;
  const { "Job type": job } = keyValues(await virsh(["domjobinfo", "--domain", uuid]));
  if (job !== "None")
    throw new HyperError("busy", `a migration of domain ${uuid} has not ended yet`);
  log.info(`Domain ${uuid} was left paused by its migration, and is resumed.`);
  await virsh(["resume", "--domain", uuid]);
}
