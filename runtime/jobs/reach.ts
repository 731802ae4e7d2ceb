/** Which hypervisors a worker can reach, where one that is away keeps no other waiting: to find that out takes seconds. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Runner } from "./runner.ts";

const PATIENCE_MS = 100;

/** Undefined for one of which it is not known yet; asked again, it is known then. */
export async function reachEach(
  hosts: Iterable<string>,
  runner: Pick<Runner, "reaches">,
): Promise<Map<string, boolean | undefined>> {
  const asked = [...hosts].map(async (host) => {
    const late = sleep(PATIENCE_MS, undefined, { ref: false });
    return [host, await Promise.race([runner.reaches(host), late])] as const;
  });
  return new Map(await Promise.all(asked));
}
