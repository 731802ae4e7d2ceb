/** The files that paths lead to, so that two names of one file compare equal. */
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";

/** Also for paths that do not exist. */
const COREUTILS = ["realpath", "-mz", "--"];
/** BusyBox has no such options; there a path that does not exist stays as it is. */
const PORTABLE = [
  ...["sh", "-c"],
  'for p; do r=$(readlink -f -- "$p" && echo x) && r=${r%?x} || r=$p; printf "%s\\0" "$r"; done',
  "sh",
];

/** Resolves paths on the hypervisor. Throws if that is not possible. */
export async function realPaths(
  ctx: Pick<Context, "exec">,
  paths: string[],
): Promise<Map<string, string>> {
  const unique = [...new Set(paths)].filter((path) => path.startsWith("/"));
  if (unique.length === 0) return new Map();
  const input = unique.join("\0");
  let result = await ctx.exec(["xargs", "-0", ...COREUTILS], { input });
  if (result.exitCode !== 0)
    result = await runProgram(ctx, ["xargs", "-0", ...PORTABLE], { input }, "resolving paths");
  const real = result.stdout.split("\0");
  return new Map(unique.map((path, i) => [path, real[i] ?? path]));
}
