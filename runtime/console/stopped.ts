/** Why a domain whose console has ended runs no more, or no more here, as libvirt tells. */
import { setTimeout as sleep } from "node:timers/promises";
import { follow } from "../hypervisor/events/follow.ts";

/** libvirt tells of it about when QEMU closes the console. */
const WORD_MS = 1000;

/** `name`: not its UUID, since events have names. What is returned resolves to a reason for the viewer; to undefined where libvirt tells of none in time. */
export function watchStop(host: string, name: string, signal: AbortSignal) {
  const filter = { kinds: ["domain" as const], hosts: [host], names: [name], events: ["stopped"] };
  const listener = follow(filter, signal);
  const word = (async () => {
    for await (const event of listener) if (event.kind === "domain") return wordOf(event.reason);
    return undefined;
  })();
  return () => Promise.race([word, sleep(WORD_MS, undefined)]);
}

/** Within the 123 bytes of a WebSocket's reason. */
const wordOf = (reason = "unknown") =>
  reason === "migrated"
    ? "moved: the domain has moved to another hypervisor; open its console there"
    : `the domain has stopped: ${reason}`;
