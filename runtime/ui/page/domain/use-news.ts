/** When the view of a domain reads again what it shows. */
import { useEffect, useState } from "preact/hooks";
import { busy } from "../state/act.ts";
import { domainOf, keyOf } from "../state/fleet.ts";
import { endsHere, openJobs } from "../state/jobs.ts";
import { domainKey, type Of } from "./acts.ts";

/** libvirt tells nobody of a snapshot, and not of every change of a definition. */
const LOOK_MS = 10_000;

/**
 * Changes when something of the domain may be another than before: with what the list of domains tells of it, with its
 * jobs, after what was done here, and every ten seconds.
 */
export function useNews({ host, name }: Of): string {
  const [looks, setLooks] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setLooks((count) => count + 1), LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const jobs = openJobs.value
    .filter((job) => job.host === host && job.domains.includes(name))
    .map(({ id, state }) => `${id} ${state}`);
  const row = domainOf(keyOf(host, name))?.value;
  const { state, persistent, autostart, snapshots, vcpus, memory_kb } = row ?? {};
  const told = { state, persistent, autostart, snapshots, vcpus, memory_kb };
  const isBusy = busy.value.has(domainKey({ host, name }));
  return JSON.stringify([looks, jobs, endsHere.value, isBusy, told]);
}
