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

  /** `timeout`: milliseconds that a caller waits for it at most. */
  constructor(login: Login, target: SshTarget, timeout: number) {
    this.#login = login;
    this.#target = target;
    this.#timeout = timeout;
  }

  get isOpen() {
    return this.#current !== undefined;
  }

  /**
   * The shell, opened if there is none. Throws `unreachable`. A shell that is late is left to the next caller: closed or
   * not, sshd counts its channel until the profile has ended, and a second one could be one too many (MaxSessions).
   */
  get(): Promise<RemoteShell> {
    this.#current ??= this.#open().catch((error) => {
      this.#current = undefined;
      throw error;
    });
    return this.#inTime(this.#current);
  }

  /** Runs commands that end at once, and resolves to what they print. Throws `unreachable`. */
  run(commands: string): Promise<string> {
    return this.#inTime(this.get().then((shell) => shell.run(commands)));
  }

  /** sshd answers nothing, not even that a channel is closed, while a profile hangs there. */
  #inTime<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = explainSlowShell(this.#target, this.#timeout);
      const timer = setTimeout(() => reject(new HyperError("unreachable", late)), this.#timeout);
      work.then(resolve, reject).finally(() => clearTimeout(timer));
    });
  }

  async #open(): Promise<RemoteShell> {
    const id = `hypersdk-${randomBytes(9).toString("hex")}`;
    try {
      const channel = await openChannel(this.#login, `exec env HYPERSDK_ID=${id} sh`);
      const shell = await RemoteShell.open(channel, id).catch((error) => {
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
      throw new HyperError("unreachable", `no shell there: ${message}`, { cause });
    }
  }
}
