/** Chooses the hypervisor of a view, where there are several. */
import { go } from "../state/route.ts";
import { who } from "../state/who.ts";
import { Select } from "./field.tsx";

/** The hypervisor that the address names, else the first one. */
export const hostOf = ([host]: string[]) => host ?? who.value?.hosts[0] ?? "";

export function HostPicker({ view, host }: { view: string; host: string }) {
  const hosts = who.value?.hosts ?? [];
  if (hosts.length < 2) return null;
  return (
    <Select label="Hypervisor" value={host} options={hosts} onChange={(next) => go(view, next)} />
  );
}
