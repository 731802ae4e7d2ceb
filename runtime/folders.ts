/** The folders of the user that this runs as. Source: XDG Base Directory Specification. */
import { homedir } from "node:os";

/** Bun's `homedir()` sees HOME only as it was at the start. */
export const home = () => process.env.HOME || homedir();

export const configFolder = () => `${process.env.XDG_CONFIG_HOME || `${home()}/.config`}/hypersdk`;

export const stateFolder = () =>
  `${process.env.XDG_STATE_HOME || `${home()}/.local/state`}/hypersdk`;
