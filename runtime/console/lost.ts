/** Whether the libvirt of an open console has gone. `virsh console` itself does not notice (libvirt 9.0). */
import type { Listener } from "../events/listener.ts";
import { follow } from "../hypervisor/events/follow.ts";

export interface Watch {
  /** Resolves once its libvirt is listened to, or cannot be. */
  ready: Promise<void>;
  /** Resolves to why it has gone; to undefined with the signal. */
  lost: Promise<string | undefined>;
}

/** For a console that is opened from now on; its hypervisor has just answered. */
export function watchLibvirt(host: string, signal: AbortSignal): Watch {
  const listener = follow({ kinds: ["hypervisor"], hosts: [host], answers: true }, signal);
  return { ready: listener.ready, lost: untilLost(listener) };
}

/** A console that was opened before its libvirt was listened to may have lost it unheard. */
async function untilLost(listener: Listener): Promise<string | undefined> {
  await listener.ready;
  let isHeard = listener.take().at(-1)?.kind === "stream"; // a loss before it was opened is none of this console's
  for await (const event of listener) {
    if (event.kind === "stream") isHeard = true;
    else if (isHeard || event.event === "found") return event.detail ?? "it was away";
  }
  return undefined;
}
