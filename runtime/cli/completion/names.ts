/** The names that a hypervisor, or a server, has for completion. */
import { caller, type Target } from "../target.ts";

/** Which function lists them, and where in its answer. */
const LISTS: Record<string, [endpoint: string, list: string]> = {
  domain: ["GET /libvirt/domains", "domains"],
  network: ["GET /libvirt/networks", "networks"],
  pool: ["GET /libvirt/pools", "pools"],
  volume: ["GET /libvirt/volumes", "volumes"],
};

/** Milliseconds that a person waits for them. */
const PATIENCE = 2000;

/** `pool` is needed for volumes. Rejects where nothing answers in time. */
export async function names(kind: string, target: Target, pool?: string): Promise<string[]> {
  if (kind === "host") {
    const { settings } = await import("../../core/settings.ts");
    return Object.keys(settings().hosts);
  }
  const [endpoint, list] = LISTS[kind] ?? [];
  if (!endpoint || !list || (kind === "volume" && !pool)) return [];
  const call = await caller(target);
  // not by a signal: a connection that is still being made takes no notice of it
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE));
  const answer = await Promise.race([call(endpoint, kind === "volume" ? { pool } : {}), late]);
  return (answer as Record<string, { name: string }[]>)[list]?.map(({ name }) => name) ?? [];
}
