/** The folders of the user that this process runs as (source: XDG Base Directory Specification). */
import { statSync } from "node:fs";
import { homedir } from "node:os";

/** Bun's `homedir()` sees HOME only as it was at the start. */
export const home = () => process.env.HOME || homedir();

/** True if it exists or existence cannot be determined. */
export function mayExist(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return true;
  }
}

export const configFolder = () => `${process.env.XDG_CONFIG_HOME || `${home()}/.config`}/hypersdk`;

export const stateFolder = () =>
  `${process.env.XDG_STATE_HOME || `${home()}/.local/state`}/hypersdk`;
