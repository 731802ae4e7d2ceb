/** A disk of a new domain before it is made. */
import type { Context } from "../../hypervisor/context.ts";
import type { Plan as CopyPlan } from "../clone/disks.ts";
import type { Source } from "../download/download.ts";
import type { Storage } from "../storage/usage.ts";
import type { DefinedDisk } from "./definition.ts";
import type { Need } from "./pools.ts";

export interface PlannedDisk extends DefinedDisk {
  /** The field of the input, such as `disks[0]`. */
  field: string;
  /** Of a volume. */
  pool?: string;
  name?: string;
  /** In bytes, as the guest is to see it. */
  size: number;
  /** What is to be made; undefined for an image that is used as it is. */
  make?: { empty: true } | { copy: CopyPlan } | { fetch: Source };
}

/** Where a disk is in the request, and in the domain. */
export interface Spot {
  index: number;
  field: string;
  target: string;
  bus: string;
}

/** What all disks of a request are planned with. */
export interface Planning {
  ctx: Context;
  domain: string;
  /** Read only where a disk is made of what is there. */
  storage: Storage;
  /** What the new volumes take, to which each adds its own. */
  needs: Need[];
}
