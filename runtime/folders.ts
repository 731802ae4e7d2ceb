/** The folders of the user that this runs as (source: XDG Base Directory Specification), and what is there. */
import { homedir } from "node:os";

/** Bun's `homedir()` sees HOME only as it was at the start. */
export const home = () => process.env.HOME || homedir();

const NOTHING = Bun.file("").lastModified;

/** Whether there is something at a path. `node:fs` can tell, too, and takes a start 2 ms to load. */
export const isThere = (path: string) => Bun.file(path).lastModified !== NOTHING;

export const configFolder = () => `${process.env.XDG_CONFIG_HOME || `${home()}/.config`}/hypersdk`;

export const stateFolder = () =>
  `${process.env.XDG_STATE_HOME || `${home()}/.local/state`}/hypersdk`;
