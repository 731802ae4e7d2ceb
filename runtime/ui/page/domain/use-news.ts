/** When the view of a domain reads again what it shows. */
import { busy } from "../state/act.ts";
import { domainOf, keyOf } from "../state/fleet.ts";
import { endsHere, openJobs } from "../state/jobs.ts";
import { domainKey, type Of } from "./acts.ts";

/** libvirt tells nobody of a snapshot, and not of every change of a definition: so long after a read, it is read again. */
export const LOOK_MS = 10_000;

/**
 * Changes when something of the domain may be another than before: with what the list of domains tells of it, with its
 * jobs, and after what was done here.
 */
export function useNews({ host, name }: Of): string {
  const jobs = openJobs.value
    .filter((job) => job.host === host && job.domains.includes(name))
    .map(({ id, state }) => `${id} ${state}`);
  const row = domainOf(keyOf(host, name))?.value;
  const { state, persistent, autostart, snapshots, vcpus, memory_kb } = row ?? {};
  const told = { state, persistent, autostart, snapshots, vcpus, memory_kb };
  const isBusy = busy.value.has(domainKey({ host, name }));
  return JSON.stringify([jobs, endsHere.value, isBusy, told]);
}
