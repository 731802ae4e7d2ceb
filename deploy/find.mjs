import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** The PATH, and the places of system tools that a user's PATH leaves out. */
export const SEARCH_PATH = [
  process.env.PATH || "/usr/local/bin:/usr/bin:/bin",
  "/usr/local/sbin:/usr/sbin:/sbin:/usr/libexec",
].join(delimiter);

/**
 * Whether there is such a program, or file with that path: much quicker than asking the package manager.
 * @param {string} binary
 */
export function findTool(binary) {
  const file = binary.startsWith("/");
  return (file ? [""] : SEARCH_PATH.split(delimiter)).some((dir) => {
    try {
      accessSync(join(dir, binary), file ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
