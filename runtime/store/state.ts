/** What is known of the database without asking it. Costs nothing, and loads no driver. */
import type { Pool } from "pg";
import { settings } from "../core/settings.ts";

export interface DatabaseState {
  /** A server that `[database] url` names, or the private one of this user. */
  kind: "server" | "private";
  /** `unused` until a first call needs it. */
  state: "unused" | "available" | "unavailable";
  /** Why it is not available. */
  reason?: string;
}

let last: Omit<DatabaseState, "kind"> = { state: "unused" };
let present: (() => Pool | undefined) | undefined;
let close: (() => Promise<void>) | undefined;

export const databaseState = (): DatabaseState => ({
  kind: settings().database.url ? "server" : "private",
  ...last,
});

export function setDatabaseState(state: Omit<DatabaseState, "kind">) {
  last = state;
}

export function registerDatabase(inUse: () => Pool | undefined, closer: () => Promise<void>) {
  present = inUse;
  close = closer;
}

/** For those who look only into a database that is in use here; undefined for another. */
export const databaseInUse = (): Pool | undefined => present?.();

/** For the end of a process: connections are closed, and a PostgreSQL that it has started ends. */
export async function closeDatabase(): Promise<void> {
  await close?.();
}
