/** Programs that a job's dead worker has left running on the hypervisor, known by a variable of their environment. */
import { HyperError } from "../core/errors.ts";
import { type Context, JOB_VARIABLE } from "../hypervisor/context.ts";
import { runProgram } from "./program.ts";

/**
 * Ends them with all that they have started, since sudo starts programs without the variable, and prints their numbers.
 * The environment of a program of another user cannot be read.
 */
const END = `end() {
  for child in $(cat "/proc/$1/task/$1/children" 2>/dev/null); do end "$child"; done
  kill -s KILL "$1" 2>/dev/null && echo "$1"
}
grep -lsF -- "$1" /proc/[0-9]*/environ | while IFS=/ read -r _ _ pid _; do end "$pid"; done; true`;

const MAX_ROUNDS = 20;

/** Ends them, and waits until they are gone. Throws `busy` for one that does not end. */
export async function endJobPrograms(ctx: Context, job: string) {
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const argv = ["sh", "-c", END, "sh", `${JOB_VARIABLE}=${job}`];
    const { stdout } = await runProgram(ctx, argv);
    if (stdout === "") return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new HyperError("busy", `programs of job ${job} do not end on hypervisor ${ctx.host}`);
}
