/** A job under way outlives an absence of the database: what it has to say waits until the database is back. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Pool } from "pg";
import { type ErrorCode, HyperError } from "../core/errors.ts";
import { log } from "../core/log.ts";
import { database } from "../store/database.ts";
import { databaseError } from "../store/errors.ts";

const PAUSE_MS = 500;
/** A write whose outcome is unknown is done again: each can be. */
const AWAY: ErrorCode[] = ["function_unavailable", "outcome_unknown"];

/** Tries until the database answers. Another error than its absence is thrown. */
export async function insist<T>(work: (pool: Pool) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work(await database());
    } catch (cause) {
      const error = databaseError(cause);
      if (!mayPass(error)) throw error;
      if (tries === 1) log.warn({ cause: error }, "a job waits until the database is back");
      await sleep(PAUSE_MS);
    }
  }
}

/** PostgreSQL's own word for "try again": a deadlock, which it has broken (source: appendix A, class 40). */
function mayPass(error: unknown): boolean {
  if (error instanceof HyperError) return AWAY.includes(error.code);
  return `${(error as { code?: unknown }).code}`.startsWith("40");
}
