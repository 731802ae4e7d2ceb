/** The functions that a name on the command line selects. */
import { HyperError } from "../core/errors.ts";
import { functionPaths } from "../function/load.ts";

export interface Selection {
  /** The path with hyphens, such as libvirt-stats: valid as the name of a file and of a Kubernetes object. */
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
  const paths = all.filter((other) => {
    if (plain.endsWith(".ts")) return other === path;
    return other.startsWith(`${path}/`) || (other === path && !plain.endsWith("/"));
  });
  if (paths.length > 0) return { name: path.slice(1).replace(/[^a-z0-9]+/g, "-"), paths };
  throw new HyperError("invalid_input", `${target}: no such function, nor a folder of functions`);
}
