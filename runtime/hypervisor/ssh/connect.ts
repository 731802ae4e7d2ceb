/** A connection that is made: a login, without what the connection before it has left there. */
import { HyperError } from "../../core/errors.ts";
import type { Login } from "./login.ts";
import { OwnShell } from "./own-shell.ts";
import { killLeftover, type RemoteGroup } from "./shell.ts";
import type { SshTarget } from "./target.ts";

export interface Connected extends Login {
  target: SshTarget;
  shell: OwnShell;
  /** Whether a program was ever started on it. */
  hasStarted: boolean;
  /** Why it was given up: the first program did not start. */
  failure?: HyperError;
}

/** `timeout` (milliseconds) bounds each hop, and the end of what was left. Throws `unreachable`. */
export async function connect(
  target: SshTarget,
  alias: string,
  timeout: number,
  left: RemoteGroup[],
): Promise<Connected> {
  const { login } = await import("./login.ts"); // ssh2 would cost every start 40 ms
  const made = await login(target, alias, timeout);
  const shell = new OwnShell(made, target, timeout);
  try {
    if (left.length > 0) await shell.run(left.map(killLeftover).join("\n"));
    return { ...made, target, shell, hasStarted: false };
  } catch (cause) {
    made.end();
    const text = `hypervisor ${alias}: ${(cause as Error).message}`;
    throw new HyperError("unreachable", text, { cause });
  }
}
