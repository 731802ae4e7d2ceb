/** One SSH connection to a hypervisor: made on demand, watched, made again after a growing back-off, closed when idle. */
import type { ClientChannel, PseudoTtyOptions } from "ssh2";
import type { Config } from "../../core/config.ts";
import { HyperError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import { observer } from "../../events/bus.ts";
import { BackOff } from "./back-off.ts";
import { ChannelLimit } from "./channel-limit.ts";
import { type Connected, connect } from "./connect.ts";
import { watchConnection } from "./keepalive.ts";
import { explainSlowShell } from "./login-errors.ts";
import { openChannel, roundTrip } from "./open-channel.ts";
import type { OwnShell } from "./own-shell.ts";
import { killCommand, type RemoteGroup, type RemoteShell } from "./shell.ts";
import { loginLimit, startLimit } from "./sshd-limits.ts";
import { sshTarget } from "./target.ts";

/** Without the channel of the shell: sshd allows 10 (MaxSessions), and one that is being closed still counts. */
const MAX_CHANNELS = 9;
/** Until a program is about to run, at least; while none has run on a connection, the timeout of a login alone counts. */
const START_TIMEOUT_MS = 10_000;
/** Until a connection is closed although the programs there have not ended. */
const CLOSE_WAIT_MS = 1000;

export class Connection {
  readonly alias: string;
  #uri: string;
  #settings: Config["ssh"];
  #current: Promise<Connected> | undefined;
  #live: Connected | undefined;
  #used = 0;
  #backOff = new BackOff();
  #idle: NodeJS.Timeout | undefined;
  #closing = new AbortController();
  readonly channels = new ChannelLimit(MAX_CHANNELS);
  /** The programs that run there. The next connection ends those that a lost connection has left. */
  readonly running = new Set<RemoteGroup>();
  /** Of this connection or, while there is none, of the last. */
  #shell: OwnShell | undefined;

  constructor(alias: string, uri: string, settings: Config["ssh"]) {
    this.alias = alias;
    this.#uri = uri;
    this.#settings = settings;
  }

  get connected() {
    return this.#live !== undefined;
  }

  /** The connection, made if there is none. Throws `unreachable` until the back-off has passed. */
  async get(): Promise<Connected> {
    if (this.#closing.signal.aborted)
      throw new HyperError("cancelled", "the connection to this hypervisor was closed");
    if (!this.#current) this.#backOff.check();
    this.#current ??= this.#connect();
    return this.#current;
  }

  /** The shell there. Throws `unreachable`. */
  async shell(): Promise<RemoteShell> {
    const { shell } = await this.get();
    return shell.get().catch((error) => {
      throw this.#unreachable((error as Error).message, error);
    });
  }

  /**
   * Runs the command on a channel, once one is free; with `pty` on a terminal. Resolves to what `begin` makes of the
   * channel, in `timeout` milliseconds; its errors say why the program does not run, and `late` why it is not yet there.
   */
  async start<T>(
    command: string,
    begin: (channel: ClientChannel, timeout: number, late: string) => Promise<T>,
    pty?: PseudoTtyOptions,
  ): Promise<T> {
    const leave = await this.channels.acquire();
    const connected = await this.get().catch((error) => {
      leave();
      throw error;
    });
    const { target } = connected;
    const limit = startLimit(target, this.#settings.logins);
    return limit(async () => {
      const least = connected.hasStarted ? START_TIMEOUT_MS : 0; // as it is after the wait for the limit
      const timeout = Math.max(this.#settings.timeout * 1000, least);
      const channel = await this.#openChannel(connected, leave, command, pty);
      try {
        const begun = await begin(channel, timeout, explainSlowShell(target, timeout));
        connected.hasStarted = true;
        this.#backOff.succeeded();
        return begun;
      } catch (cause) {
        channel.close();
        const error = this.#unreachable((cause as Error).message, cause);
        throw connected.hasStarted ? error : this.#giveUp(connected, error);
      }
    });
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

  /** Ends a process group there, if its shell answers in time. */
  async kill(group: RemoteGroup) {
    await this.#live?.shell.run(`{ ${killCommand(group)}; } 2>/dev/null`).catch(() => {});
  }

  /** Ends the programs there, and the connection. Those that are idle end with their input; others may hang. */
  async close() {
    this.#closing.abort();
    clearTimeout(this.#idle);
    const mayHang = this.#used > 0 || this.#live?.shell.isOpen;
    if (mayHang) {
      const late = new Promise((resolve) => setTimeout(resolve, CLOSE_WAIT_MS).unref());
      await Promise.race([Promise.all([...this.running].map((one) => this.kill(one))), late]);
    }
    this.#live?.end();
  }

  async #openChannel(
    connected: Connected,
    leave: () => void,
    command: string,
    pty?: PseudoTtyOptions,
  ): Promise<ClientChannel> {
    try {
      const channel = await openChannel(connected, command, pty);
      // to sshd the channel is open until it has handled everything that we sent before
      channel.once("close", () => roundTrip(connected).then(leave, leave));
      return channel;
    } catch (error) {
      leave();
      if (connected.failure) throw connected.failure;
      const { message } = error as Error;
      const why = /open failure|Unable to exec/i.test(message)
        ? `sshd opens no further channel (${message}); its MaxSessions must be at least 10`
        : `the SSH connection was lost (${message})`;
      throw this.#unreachable(why, error);
    }
  }

  /** Ends a connection on which nothing starts. The first failure is the reason for all who wait on it. */
  #giveUp(connected: Connected, error: HyperError): HyperError {
    if (connected.failure) return connected.failure;
    connected.failure = error;
    this.#backOff.failed(error);
    connected.end();
    return error;
  }

  #unreachable(why: string, cause: unknown) {
    return new HyperError("unreachable", `hypervisor ${this.alias}: ${why}`, { cause });
  }

  async #connect(): Promise<Connected> {
    const began = performance.now();
    try {
      const target = await sshTarget(this.#uri, this.alias, this.#closing.signal);
      const limit = loginLimit(target, this.#settings.logins);
      const before = this.#shell?.group;
      const left = [...this.running, ...(before ? [before] : [])];
      const timeout = this.#settings.timeout * 1000;
      const connected = await limit(() => connect(target, this.alias, timeout, left));
      this.running.clear();
      this.#shell = connected.shell;
      if (this.#used <= 0) connected.socket.unref();
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
      observer.connection?.(this.alias, false);
      this.#backOff.failed(error as Error);
      throw error;
    }
  }
}
