/** Paths of the hypervisor with every symbolic link resolved, so that two names of one file compare equal. */
import { posix } from "node:path";
import type { Context } from "../../hypervisor/context.ts";
import { runProgram } from "../program.ts";

/**
 * GNU's realpath resolves all paths in one process. Elsewhere (BusyBox) each path is resolved by `readlink -f`,
 * which knows one missing name at most: the names behind it are kept as they are, and the target of a link that
 * leads nowhere takes the link's place. The `x` keeps a line break at the end of a name.
 */
const RESOLVE = `realpath -mz -- / >/dev/null 2>&1 && exec realpath -mz -- "$@"
for path; do
  rest= links=0
  until real=$(readlink -f -- "$path" && echo x); do
    if [ -L "$path" ] && [ $((links += 1)) -le 40 ]; then
      target=$(readlink -- "$path" && echo x) || exit
      target=\${target%?x}
      case $target in /*) path=$target;; *) path=\${path%/*}/$target;; esac
    else
      [ "$path" != / ] || { echo "readlink: cannot resolve $1" >&2; exit 1; }
      rest=/\${path##*/}$rest path=\${path%/*}
      path=\${path:-/}
    fi
  done
  printf '%s%s\\0' "\${real%?x}" "$rest"
done`;

/** Resolves absolute paths, those that are not known; names that do not exist stay as they are. A text that is no such path has no entry. */
export async function realPaths(
  ctx: Pick<Context, "exec">,
  paths: string[],
  limits: { timeout?: number } = {},
  known: Map<string, string> = new Map(),
): Promise<Map<string, string>> {
  const absolute = [...new Set(paths)].filter((path) => path.startsWith("/"));
  const unique = absolute.filter((path) => !known.has(path));
  const given = absolute.flatMap((path): [string, string][] => {
    const real = known.get(path);
    return real === undefined ? [] : [[path, real]];
  });
  if (unique.length === 0) return new Map(given);
  const resolve = ["xargs", "-0", "sh", "-c", RESOLVE, "sh"];
  const options = { input: unique.join("\0"), ...limits };
  const { stdout } = await runProgram(ctx, resolve, options, "realpath");
  const real = stdout.split("\0");
  const pairs = unique.map((path, i): [string, string] => [path, real[i] ?? ""]);
  const resolved = pairs.filter(([, found]) => found);
  return new Map([
    ...given,
    ...resolved.map(([path, found]) => [path, posix.normalize(found)] as const),
  ]);
}
