/** Where all events of the fleet meet: everybody who listens in this process is told, and the last ones are kept. */
import type { FleetEvent, Kind } from "./fleet-event.ts";
import { type Filter, Listener, MAX_WAITING } from "./listener.ts";

/** Omit that keeps the members of a union apart. */
type Without<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

export type NewEvent = Without<FleetEvent, "id" | "time"> & { time?: string };

/** Events that are kept for listeners who come back, whose queue has room for them and for those of meanwhile. */
const MAX_KEPT = MAX_WAITING / 2;

/** Tells this start of the server from others, whose IDs mean nothing here. */
const start = crypto.randomUUID().slice(0, 8);
let last = 0;
const kept: FleetEvent[] = [];
const listeners = new Set<Listener>();

/** How long a server hears on without a listener: for one who comes back at once, so that nothing is missed. */
export const lingering = { ms: 0 };

/** Numbered in the order in which it is told. Nobody holds it up. */
export function publish(event: NewEvent): FleetEvent {
  const full = numbered(event);
  kept.push(full);
  if (kept.length >= 2 * MAX_KEPT) kept.splice(0, kept.length - MAX_KEPT);
  for (const listener of listeners) listener.push(full, cutOff);
  return full;
}

/** Frozen, since all listeners share it. */
const numbered = (event: NewEvent) =>
  Object.freeze({
    id: `${start}-${++last}`,
    time: new Date().toISOString(),
    ...event,
  }) as FleetEvent;

/** Told to one listener alone, with the ID of the event before it, after which they may go on. */
export const tell = (listener: Listener, event: NewEvent) => listener.push(alone(event), cutOff);

const alone = (event: NewEvent, id = `${start}-${last}`) =>
  ({ id, time: new Date().toISOString(), ...event }) as FleetEvent;

/** Its ID is known nowhere: whoever goes on after it has missed what waited for them, and gets a resync. */
const cutOff = (reason: string) =>
  alone(
    {
      kind: "stream",
      object: "",
      host: null,
      event: "cut-off",
      detail: reason,
      kinds: [],
      read: [],
    },
    `${start}-cut`,
  );

/** What tells the state that events of these kinds change. */
const READ: Partial<Record<Kind, string[]>> = {
  domain: ["/libvirt/domains", "/libvirt/snapshots"],
  network: ["/libvirt/networks"],
  pool: ["/libvirt/pools", "/libvirt/volumes"],
  hypervisor: ["/hosts"],
  job: ["/jobs/query"],
};

/** Something of these kinds may have been missed until now. */
export const resync = (host: string | null, kinds: readonly Kind[], detail: string) => ({
  kind: "stream" as const,
  object: "" as const,
  event: "resync" as const,
  host,
  detail,
  kinds: [...kinds],
  read: kinds.flatMap((kind) => READ[kind] ?? []),
});

/**
 * Hears everything from now on, as far as the filter lets it pass, and with `after` what came after the event of that
 * ID. Where that is not known any more, the first event is a `resync`.
 */
export function listen(filter: Filter, after?: string): Listener {
  const listener = new Listener(filter, (one) => listeners.delete(one));
  if (after !== undefined) {
    const missed = since(after);
    const kinds = filter.kinds ?? [];
    const text = "the events after that ID are not known here any more";
    if (!missed) tell(listener, resync(null, kinds, text));
    for (const event of missed ?? []) listener.push(event, cutOff);
  }
  listeners.add(listener);
  return listener;
}

/** The events after the one of that ID; undefined when some may be missing. */
function since(id: string): FleetEvent[] | undefined {
  const [, at, number] = /^([0-9a-f]{8})-(\d{1,15})$/.exec(id) ?? [];
  const n = Number(number);
  if (at !== start || n > last) return undefined;
  const count = last - n;
  return count > Math.min(kept.length, MAX_KEPT) ? undefined : kept.slice(kept.length - count);
}
