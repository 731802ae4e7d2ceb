/**
 * The shell of a connection. It is opened when something first needs it: each channel begins with the user's login
 * shell, whose profile may cost more than the login itself.
 */
import { randomBytes } from "node:crypto";
import { HyperError } from "../../core/errors.ts";
import type { Login } from "./login.ts";
import { explainSlowShell } from "./login-errors.ts";
import { openChannel } from "./open-channel.ts";
import { type RemoteGroup, RemoteShell } from "./shell.ts";
import type { SshTarget } from "./target.ts";

export class OwnShell {
  #login: Login;
  #target: SshTarget;
  #timeout: number;
  #current: Promise<RemoteShell> | undefined;
  /** Of the one opened last. */
  group: RemoteGroup | undefined;

  /** `timeout`: milliseconds until it must answer. */
  constructor(login: Login, target: SshTarget, timeout: number) {
    this.#login = login;
    this.#target = target;
    this.#timeout = timeout;
  }

  get isOpen() {
    return this.#current !== undefined;
  }

  /** The shell, opened if there is none. Throws `unreachable`. */
  get(): Promise<RemoteShell> {
    this.#current ??= this.#open().catch((error) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  async #open(): Promise<RemoteShell> {
    const id = `hypersdk-${randomBytes(9).toString("hex")}`;
    let isLate = false;
    try {
      const channel = await openChannel(this.#login, `exec env HYPERSDK_ID=${id} sh`);
      const close = () => {
        isLate = true;
        channel.close();
      };
      const timer = setTimeout(close, this.#timeout);
      const opening = RemoteShell.open(channel, id).finally(() => clearTimeout(timer));
      const shell = await opening.catch((error) => {
        channel.close();
        throw error;
      });
      channel.once("close", () => {
        this.#current = undefined; // whoever ended it, the next one who needs a shell opens another
      });
      this.group = shell.group;
      return shell;
    } catch (cause) {
      const { message } = cause as Error;
      const late = explainSlowShell(this.#target, this.#timeout);
      throw new HyperError("unreachable", isLate ? late : `no shell there: ${message}`, { cause });
    }
  }
}
