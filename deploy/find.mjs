import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** The PATH, and the places of system tools that a user's PATH leaves out. */
export const SEARCH_PATH = [
  process.env.PATH || "/usr/local/bin:/usr/bin:/bin",
  "/usr/local/sbin:/usr/sbin:/sbin:/usr/libexec",
].join(delimiter);

/**
 * The files that a path with one folder left open (`*`) stands for.
 * @param {string} binary
 */
function expand(binary) {
  const [before = "", after] = binary.split("/*/");
  if (after === undefined) return [binary];
  try {
    return readdirSync(before).map((name) => join(before, name, after));
  } catch {
    return [];
  }
}

/**
 * Whether there is such a program, or file with that path: much quicker than asking the package manager.
 * @param {string} binary
 */
export function findTool(binary) {
  const file = binary.startsWith("/");
  const paths = file
    ? expand(binary)
    : SEARCH_PATH.split(delimiter).map((dir) => join(dir, binary));
  return paths.some((path) => {
    try {
      accessSync(path, file ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
