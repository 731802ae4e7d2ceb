/** All domains as the server tells them. Each is a signal of its own, so that an update of one redraws one row. */

import { batch, type Signal, signal } from "@preact/signals";
import { call, type Told } from "./client.ts";
import { follow } from "./follow.ts";
import { addToHistory, forgetHistory } from "./history.ts";

type Event = Told<"GET /libvirt/domains/watch">;
export type Domain = Event["domains"][number] & { host: string };

export const keyOf = (host: string, name: string) => `${host}/${name}`;

const rows = new Map<string, Signal<Domain>>();
/** Changes when a domain comes or goes, or its state changes. */
export const shape = signal(0);
/** Changes with every update. */
export const ticks = signal(0);
/** Why a hypervisor cannot be read now, by its alias; null where it can. */
export const hostErrors = signal<Record<string, string | null>>({});
/** Why the server does not tell of domains, though it can be reached. */
export const refusal = signal<string | null>(null);
/** Whether what is shown is what there is now. */
export const connection = signal<"connecting" | "live" | "lost">("connecting");

export const domainOf = (key: string): Signal<Domain> | undefined => rows.get(key);
export const allDomains = () => [...rows.values()];

function apply({ host, whole, domains, gone, error }: Event) {
  batch(() => {
    let isShaped = whole;
    if (whole) {
      const names = new Set(domains.map(({ name }) => name));
      for (const [key, { value }] of rows)
        if (value.host === host && !names.has(value.name)) remove(key);
    }
    for (const domain of domains) {
      const key = keyOf(host, domain.name);
      const known = rows.get(key);
      const row = { ...domain, host };
      if (!known || known.peek().state !== domain.state) isShaped = true;
      if (known) known.value = row;
      else rows.set(key, signal(row));
      if (domain.cpu_percent !== null) addToHistory(key, domain.cpu_percent);
    }
    for (const name of gone) remove(keyOf(host, name));
    if (isShaped || gone.length > 0) shape.value++;
    if (hostErrors.value[host] !== error) hostErrors.value = { ...hostErrors.value, [host]: error };
    ticks.value++;
    connection.value = "live";
  });
}

function remove(key: string) {
  rows.delete(key);
  forgetHistory(key);
}

let users = 0;
let end = () => {};

/** Follows the fleet while at least one view needs it. */
export function followFleet() {
  if (users++ === 0) {
    end = follow(
      {
        name: "GET /libvirt/domains/watch",
        open: (signal) => call("GET /libvirt/domains/watch", {}, { signal }),
      },
      (data) => {
        refusal.value = null;
        apply(data);
      },
      (reason) => {
        connection.value = "lost";
        refusal.value = reason;
      },
    );
  }
  return () => {
    if (--users === 0) end();
  };
}

/** Of another caller, nothing is kept. */
export function forgetFleet() {
  rows.clear();
  hostErrors.value = {};
  connection.value = "connecting";
  shape.value++;
}
