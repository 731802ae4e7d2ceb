/** Programs of the hypervisor other than virsh. */
import type { Context } from "../hypervisor/context.ts";
import type { ExecOptions } from "../hypervisor/transport.ts";
import { programError } from "../hypervisor/virsh-errors.ts";

/** Runs a program to its end; any exit code but 0 throws, with the program's own words after `name`. */
export async function runProgram(
  { exec }: Pick<Context, "exec">,
  argv: string[],
  options?: Partial<ExecOptions>,
  name = argv[0] ?? "",
) {
  const result = await exec(argv, options);
  if (result.exitCode !== 0) throw programError(name, result);
  return result;
}

/** The reason stands at the end, after a name that may hold any words. */
const NOT_THERE = /: (No such file or directory|Not a directory)\n?$/;

/**
 * Whether a path exists on the hypervisor, links followed. Throws for a path that the login user cannot look at:
 * only a clear "no such file" means that it is not there. `test -e` does not tell the two apart.
 */
export async function pathExists({ exec }: Pick<Context, "exec">, path: string): Promise<boolean> {
  const result = await exec(["ls", "-dL", "--", path]);
  if (result.exitCode === 0) return true;
  if (NOT_THERE.test(result.stderr)) return false;
  throw programError(`looking for ${path}`, result);
}
