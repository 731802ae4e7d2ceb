/** The folders of the user that this runs as (source: XDG Base Directory Specification), and what is there. */
import { homedir } from "node:os";

/** Bun's `homedir()` sees HOME only as it was at the start. */
export const home = () => process.env.HOME || homedir();

/** Whether there may be something at a path: also where nobody can tell. `node:fs` takes a start 2 ms to load. */
export function mayExist(path: string): boolean {
  try {
    Bun.mmap(path); // what is mapped is not looked at, and let go
    return true;
  } catch (error) {
    return !isNotFound(error);
  }
}

/** Whether an error means that there is nothing at the path that was asked for. */
export const isNotFound = (error: unknown) =>
  ["ENOENT", "ENOTDIR"].includes(`${(error as NodeJS.ErrnoException).code}`);

export const configFolder = () => `${process.env.XDG_CONFIG_HOME || `${home()}/.config`}/hypersdk`;

export const stateFolder = () =>
  `${process.env.XDG_STATE_HOME || `${home()}/.local/state`}/hypersdk`;
