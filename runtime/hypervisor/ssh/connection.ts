/** One SSH connection to a hypervisor: made on demand, watched, made again after a growing back-off, closed when idle. */
import { randomBytes } from "node:crypto";
import pLimit from "p-limit";
import type { Client, ClientChannel, PseudoTtyOptions } from "ssh2";
import type { Config } from "../../core/config.ts";
import { HyperError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import { observer } from "../../events/bus.ts";
import { ChannelLimit } from "./channel-limit.ts";
import { watchConnection } from "./keepalive.ts";
import type { Login } from "./login.ts";
import { HELD_BACK_MS, isHeldBack, nameOf } from "./login-errors.ts";
import { killCommand, killLeftover, type RemoteGroup, RemoteShell } from "./shell.ts";
import { type SshTarget, sshTarget } from "./target.ts";

export interface Connected extends Login {
  shell: RemoteShell;
}

/** Without the channel of the shell: sshd allows 10 (MaxSessions), and one that is being closed still counts. */
const MAX_CHANNELS = 9;
const MAX_BACKOFF_MS = 30_000;
/** Until a connection is closed although the programs there have not ended. */
const CLOSE_WAIT_MS = 1000;

/** The limit of logins under way at each sshd, which drops some when there are too many (MaxStartups). */
const logins = new Map<string, ReturnType<typeof pLimit>>();

export class Connection {
  readonly alias: string;
  #uri: string;
  #settings: Config["ssh"];
  #current: Promise<Connected> | undefined;
  #live: Connected | undefined;
  #used = 0;
  #failures = 0;
  #retryAt = 0;
  #reason = "";
  #idle: NodeJS.Timeout | undefined;
  #closing = new AbortController();
  readonly channels = new ChannelLimit(MAX_CHANNELS);
  /** The programs that run there. The next connection ends those that a lost connection has left. */
  readonly running = new Set<RemoteGroup>();
  #shell: RemoteGroup | undefined;

  constructor(alias: string, uri: string, settings: Config["ssh"]) {
    this.alias = alias;
    this.#uri = uri;
    this.#settings = settings;
  }

  get connected() {
    return this.#live !== undefined;
  }

  /** The connection, made if there is none. Throws `unreachable` until the back-off has passed. */
  get(): Promise<Connected> {
    if (this.#closing.signal.aborted)
      throw new HyperError("cancelled", "the connection to this hypervisor was closed");
    const wait = this.#retryAt - Date.now();
    if (!this.#current && wait > 0) {
      const tried = this.#failures === 1 ? "once" : `${this.#failures} times`;
      const text = `${this.#reason} (tried ${tried}; the next attempt is in ${Math.ceil(wait / 1000)} s)`;
      throw new HyperError("unreachable", text);
    }
    this.#current ??= this.#connect();
    return this.#current;
  }

  /** Resolves to the channel on which the command runs, once one is free; with `pty` on a terminal. */
  async open(command: string, pty?: PseudoTtyOptions): Promise<ClientChannel> {
    const leave = await this.channels.acquire();
    try {
      const { client, shell } = await this.get();
      const channel = await openChannel(client, command, pty);
      // to sshd the channel is open until it has handled everything that we sent before
      channel.once("close", () => shell.run(":").then(leave, leave));
      return channel;
    } catch (error) {
      leave();
      if (error instanceof HyperError) throw error;
      const { message } = error as Error;
      const why = /open failure|Unable to exec/i.test(message)
        ? `sshd opens no further channel (${message}); its MaxSessions must be at least 10`
        : `the SSH connection was lost (${message})`;
      const text = `hypervisor ${this.alias}: ${why}`;
      throw new HyperError("unreachable", text, { cause: error });
    }
  }

  /** Only while a command runs does the connection keep our process alive. */
  ref(on: boolean) {
    this.#used += on ? 1 : -1;
    clearTimeout(this.#idle);
    const socket = this.#live?.socket;
    if (this.#used > 0) socket?.ref();
    else socket?.unref();
    if (this.#used > 0) return;
    this.#idle = setTimeout(() => {
      if (this.running.size === 0) this.#live?.end();
    }, this.#settings.idle * 1000);
    this.#idle.unref();
  }

  /** Ends a process group there. */
  async kill(group: RemoteGroup) {
    await this.#live?.shell.run(`{ ${killCommand(group)}; } 2>/dev/null`).catch(() => {});
  }

  /** Ends the programs there, which may hang, and the connection. */
  async close() {
    this.#closing.abort();
    clearTimeout(this.#idle);
    const late = new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS).unref());
    await Promise.race([Promise.all([...this.running].map((one) => this.kill(one))), late]);
    this.#live?.end();
  }

  async #connect(): Promise<Connected> {
    const began = performance.now();
    try {
      const target = await sshTarget(this.#uri, this.alias, this.#closing.signal);
      const entry = firstHop(target);
      const limit = logins.get(entry) ?? pLimit(this.#settings.logins);
      logins.set(entry, limit);
      const connected = await limit(() => this.#login(target));
      this.#failures = 0;
      this.#live = connected;
      observer.connection?.(this.alias, true);
      log.info({ host: this.alias, ms: performance.now() - began }, "SSH connection opened");
      connected.closed.then((reason) => {
        log.info({ host: this.alias, reason }, "SSH connection closed");
        this.#live = undefined;
        this.#current = undefined;
      });
      watchConnection(this.alias, connected, this.#settings.keepalive);
      if (this.#closing.signal.aborted) connected.end();
      return connected;
    } catch (error) {
      this.#current = undefined;
      this.#failures++;
      observer.connection?.(this.alias, false);
      this.#reason = (error as Error).message;
      const pause = Math.min(MAX_BACKOFF_MS, 500 * 2 ** Math.min(this.#failures, 6));
      const spread = pause * (0.5 + Math.random() / 2); // so that many hosts are not tried at once
      const least = isHeldBack((error as HyperError).cause) ? HELD_BACK_MS : 0;
      this.#retryAt = Date.now() + Math.max(spread, least);
      throw error;
    }
  }

  async #login(target: SshTarget): Promise<Connected> {
    const { login } = await import("./login.ts"); // ssh2 would cost every start 40 ms
    const made = await login(target, this.alias, this.#settings.timeout * 1000);
    let late = false;
    try {
      const id = `hypersdk-${randomBytes(9).toString("hex")}`;
      const channel = await openChannel(made.client, `exec env HYPERSDK_ID=${id} sh`);
      const timer = setTimeout(() => {
        late = true;
        made.end();
      }, this.#settings.timeout * 1000);
      const shell = await RemoteShell.open(channel, id).finally(() => clearTimeout(timer));
      const left = [...this.running, ...(this.#shell ? [this.#shell] : [])].map(killLeftover);
      this.running.clear();
      this.#shell = shell.group;
      if (left.length > 0) await shell.run(left.join("\n"));
      if (this.#used <= 0) made.socket.unref();
      return { ...made, shell };
    } catch (cause) {
      made.end();
      if (cause instanceof HyperError && cause.code !== "unreachable") throw cause;
      const why = late ? slowShell(target, this.#settings.timeout) : (cause as Error).message;
      const text = `hypervisor ${this.alias}: no shell there: ${why}`;
      throw new HyperError("unreachable", text, { cause });
    }
  }
}

const slowShell = (target: SshTarget, seconds: number) =>
  `the login as ${nameOf(target)} succeeded, but its shell does not answer within ${seconds} s. ` +
  "If its profile takes longer, raise timeout in [ssh] of hypersdk.toml";

/** The sshd of the first hop. */
function firstHop({ jump, host, port }: SshTarget): string {
  return jump ? firstHop(jump) : `${host}:${port}`;
}

function openChannel(
  client: Client,
  command: string,
  pty?: PseudoTtyOptions,
): Promise<ClientChannel> {
  return new Promise((resolve, reject) =>
    client.exec(command, pty ? { pty } : {}, (error, channel) =>
      error ? reject(error) : resolve(channel),
    ),
  );
}
