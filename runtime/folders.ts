/** The folders of the user that this runs as (source: XDG Base Directory Specification), and what is there. */
import { homedir } from "node:os";

/** Bun's `homedir()` sees HOME only as it was at the start. */
export const home = () => process.env.HOME || homedir();

/** Whether there may be something at a path: also where nobody can tell. `node:fs` takes a start 2 ms to load. */
export function isThere(path: string): boolean {
  try {
    return Bun.mmap(path) !== undefined; // what is mapped is not looked at, and let go
  } catch (error) {
    return !["ENOENT", "ENOTDIR"].includes(`${(error as NodeJS.ErrnoException).code}`);
  }
}

export const configFolder = () => `${process.env.XDG_CONFIG_HOME || `${home()}/.config`}/hypersdk`;

export const stateFolder = () =>
  `${process.env.XDG_STATE_HOME || `${home()}/.local/state`}/hypersdk`;
