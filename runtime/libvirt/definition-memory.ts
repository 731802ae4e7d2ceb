/** The definitions that were read last, of all hypervisors. */
import type { Context } from "../hypervisor/context.ts";

export interface Definition {
  text: string;
  /** Set when QEMU did not answer; then the text is the last one that was read, and may be old. */
  stuck?: string;
}

export interface Remembered {
  /** The same object while the definition is the same, so that what was made of it can be kept with it. */
  definition: Definition;
  /** Of libvirt's files when it was read; undefined if they were not looked at, or had just changed. */
  identity?: string | undefined;
}

/** The present definition, the stored one, or the head of the stored one. */
export type Kind = "--inactive" | "head" | undefined;

/** Of 2,000 domains each kind. */
const MAX_REMEMBERED = 6000;

/** By hypervisor, UUID and kind; the one read longest ago is the first to go. */
const remembered = new Map<string, Remembered>();

type Host = Pick<Context, "host">;

const keyOf = ({ host }: Host, uuid: string, kind: Kind) => `${host} ${uuid} ${kind ?? ""}`;

export const recall = (ctx: Host, uuid: string, kind: Kind) =>
  remembered.get(keyOf(ctx, uuid, kind));

export function remember(ctx: Host, uuid: string, kind: Kind, entry: Remembered) {
  const key = keyOf(ctx, uuid, kind);
  remembered.delete(key);
  remembered.set(key, entry);
  for (const [oldest] of remembered) {
    if (remembered.size <= MAX_REMEMBERED) break;
    remembered.delete(oldest);
  }
}

/** Forgets the domains that are gone. `uuids`: all that there are. */
export function forgetOthers({ host }: Host, uuids: string[]) {
  const present = new Set(uuids);
  for (const key of remembered.keys()) {
    const [name, uuid = ""] = key.split(" ");
    if (name === host && !present.has(uuid)) remembered.delete(key);
  }
}
