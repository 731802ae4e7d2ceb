/** What was measured, for all rules of a condition. */
import type { Selected } from "../http/selection.ts";

export interface Reading {
  /** Alias; empty for what is of no hypervisor. */
  host: string;
  /** The name of a domain, a pool, a schedule; empty for a hypervisor itself. */
  object: string;
  /** Null where it could not be measured: then nothing changes. */
  value: number | null;
  /** For people, such as "is paused by an I/O error". */
  detail: string;
}

export interface Measured {
  readings: Reading[];
  /** Hypervisors that were read as a whole: what is not among their readings is not there any more. */
  complete: string[];
  /** Why others were not. */
  errors: string[];
  /** Crashes that were heard since it began, which are newer; more may come until it is written. */
  heard?: Reading[];
  /** What the rule's query stood for, where that was asked for now. */
  selected?: Selected;
}
