/** Hears what happens to domains and hypervisors, so that rules about it need not wait for their next measurement. */
import { log } from "../core/log.ts";
import type { FleetEvent } from "../events/fleet-event.ts";
import { follow } from "../hypervisor/events/follow.ts";
import { CRASHED } from "./measure-domains.ts";
import type { Reading } from "./reading.ts";
import type { Condition } from "./rule.ts";

const OF_DOMAINS: Condition[] = ["domain_crashed", "domain_paused_io"];
const OF_HYPERVISORS: Condition[] = ["host_unreachable"];

/** Conditions that are heard of. The others are measured from time to time. */
export const HEARD: Condition[] = [...OF_DOMAINS, ...OF_HYPERVISORS];

/** What rules are about changes with these alone. */
const EVENTS = ["lifecycle", "io-error", "lost", "found"];

/** What was heard and not yet looked at. */
export class Hearing {
  readonly due = new Set<Condition>();
  /** Domains that have crashed, of which libvirt may know nothing any more: it forgets a transient one. */
  crashes: Reading[] = [];
  #end = new AbortController();
  readonly #isCrash = crashes();

  /** `wake` is called with everything that is heard. */
  constructor(wake: () => void) {
    void this.#hear(wake).catch((error) =>
      log.warn({ error }, "alert rules do not hear of events"),
    );
  }

  async #hear(wake: () => void) {
    const kinds = ["domain", "hypervisor"] as const;
    let after: string | undefined;
    // one that did not keep up is cut off, and goes on after a `resync`; it ends when hypervisors come or go, too
    while (!this.#end.signal.aborted) {
      for await (const event of follow({ kinds, events: EVENTS, after }, this.#end.signal)) {
        after = event.id;
        this.#note(event);
        wake();
      }
    }
  }

  #note(event: FleetEvent) {
    if (event.kind === "domain" || event.kind === "stream") this.#add(OF_DOMAINS);
    if (event.kind === "hypervisor" || event.kind === "stream") this.#add(OF_HYPERVISORS);
    if (event.kind !== "domain" || !this.#isCrash(event)) return;
    const { host, object } = event;
    this.crashes.push({ host, object, value: 1, detail: CRASHED });
  }

  #add(conditions: Condition[]) {
    for (const one of conditions) this.due.add(one);
  }

  end() {
    this.#end.abort();
  }
}

/**
 * Tells by virsh's words a QEMU that has ended by itself and a guest that has panicked. One that was started for a
 * domain that comes from another hypervisor is no crash as long as its guest has not come, which runs on over there.
 */
export function crashes() {
  const arriving = new Set<string>();
  return ({ host, object, event, action, reason }: FleetEvent & { kind: "domain" }) => {
    if (event !== "lifecycle") return false;
    const domain = `${host}/${object}`;
    if (action === "started" && reason === "migrated") arriving.add(domain);
    else if (/^(started|resumed)$/.test(action ?? "") || reason === "paused")
      arriving.delete(domain);
    if (action !== "stopped" && action !== "crashed") return false;
    const isUnborn = arriving.delete(domain);
    return action === "crashed" || reason === "crashed" || (reason === "failed" && !isUnborn);
  };
}
