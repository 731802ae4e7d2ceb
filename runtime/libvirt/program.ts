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

/** Whether a path exists on the hypervisor, as far as its login user can see. */
export async function pathExists({ exec }: Pick<Context, "exec">, path: string): Promise<boolean> {
  return (await exec(["test", "-e", path])).exitCode === 0;
}
