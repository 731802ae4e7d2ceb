/** The files that paths lead to, so that two names of one file compare equal. */
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";

/** Also for paths that do not exist. */
const COREUTILS = ["realpath", "-mz", "--"];
/**
 * BusyBox has no such options; there a path that does not exist stays as it is. The x saves a line break at the end
 * of a name.
 */
const READLINK =
  'for p; do r=$(readlink -f -- "$p" && echo x) || r=; test -n "$r" || r=$(printf "%s\\nx" "$p"); printf "%s\\0" "$r"; done';

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
    result = await runProgram(
      ctx,
      ["xargs", "-0", "sh", "-c", READLINK, "sh"],
      { input },
      "resolving paths",
    );
  const real = result.stdout.split("\0").map((path) => path.replace(/\nx$/, ""));
  return new Map(unique.map((path, i) => [path, real[i] ?? path]));
}
