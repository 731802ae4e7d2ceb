/** Hypervisors of which nothing is heard, and why. One event tells of it, however many groups are lost. */
import type { NewEvent } from "../../events/hub.ts";

export const lost = new Map<string, string>();

export const lossOf = (host: string): NewEvent | undefined => {
  const detail = lost.get(host);
  return detail === undefined ? undefined : hypervisorEvent(host, "lost", detail);
};

export const hypervisorEvent = (host: string, event: "lost" | "found", detail: string | null) => ({
  kind: "hypervisor" as const,
  host,
  object: host,
  event,
  detail,
});
