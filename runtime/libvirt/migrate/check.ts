/** One verdict about a migration, before it begins. */
import * as z from "zod";
import { type ErrorCode, HyperError } from "../../core/errors.ts";

export const Check = z
  .object({
    item: z.string().describe("what was looked at, such as cpu, storage or network"),
    status: z.enum(["pass", "warning", "fail"]),
    message: z.string(),
  })
  .meta({ id: "MigrationCheck" });
export type Check = z.output<typeof Check>;

const verdict = (status: Check["status"]) => (item: string, message: string) => ({
  item,
  status,
  message,
});
export const pass = verdict("pass");
export const warning = verdict("warning");
export const fail = verdict("fail");

/** Of what cannot be looked at nothing is known, so that it does not pass. */
export async function checked(item: string, look: () => Promise<Check[]>): Promise<Check[]> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof HyperError)) throw error;
    return [fail(item, `could not be checked: ${error.message}`)];
  }
}

const CODES: Record<string, ErrorCode> = {
  name: "already_exists",
  uuid: "already_exists",
  state: "in_use",
  space: "no_space",
};

/** Throws with every check that fails. */
export function assertPossible(checks: Check[]) {
  const failed = checks.filter(({ status }) => status === "fail");
  const [first] = failed;
  if (!first) return;
  const text = failed.map(({ item, message }) => `${item}: ${message}`).join("; ");
  const details = { checks: failed };
  throw new HyperError(CODES[first.item] ?? "unsupported", `the domain cannot migrate: ${text}`, {
    details,
  });
}
