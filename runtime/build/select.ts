/** Which functions a name on the command line means. */
import { HyperError } from "../core/errors.ts";
import { functionPaths } from "../function/load.ts";

export interface Selection {
  /** Their path with hyphens, such as libvirt-stats: good as a file's name, and as a Kubernetes object's. */
  name: string;
  paths: string[];
}

/**
 * `libvirt/stats`: the function of that name, and those in the folder of that name. `libvirt/stats.ts`: that
 * function alone. `libvirt/stats/`: that folder. `.`: all of them. Throws `invalid_input`.
 */
export async function select(target: string, folder?: string): Promise<Selection> {
  const all = await functionPaths(folder);
  if (target === ".") return { name: "hypersdk", paths: all };
  const plain = target.replace(/^(\.?\/)*(functions\/)?/, "");
  const path = `/${plain.replace(/\.ts$|\/+$/, "")}`;
  const paths = all.filter((one) => {
    if (plain.endsWith(".ts")) return one === path;
    return one.startsWith(`${path}/`) || (one === path && !plain.endsWith("/"));
  });
  if (paths.length > 0) return { name: path.slice(1).replace(/[^a-z0-9]+/g, "-"), paths };
  throw new HyperError("invalid_input", `${target}: no such function, nor a folder of functions`);
}
