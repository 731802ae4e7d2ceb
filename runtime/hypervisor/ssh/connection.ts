/** One SSH connection to a hypervisor: made on demand, watched, made again with growing pauses, closed when idle. */
import { randomBytes } from "node:crypto";
import pLimit from "p-limit";
import type { Client, ClientChannel } from "ssh2";
import type { Config } from "../../core/config.ts";
import { HyperError } from "../../core/errors.ts";
import { log } from "../../core/log.ts";
import { observer } from "../../events/bus.ts";
import { ChannelLimit } from "./channel-limit.ts";
import type { Login } from "./login.ts";
import { type Remote, RemoteShell, word } from "./shell.ts";
import { sshTarget, type Target } from "./target.ts";

export interface Connected extends Login {
  shell: RemoteShell;
}

/** sshd drops logins when too many are under way at once (MaxStartups): a bound for each sshd that is reached. */
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
  #closed = false;
  /** Without the shell: sshd allows 10 (MaxSessions), and one that is being closed still counts. */
  readonly channels = new ChannelLimit(9);
  /** What runs there now; what a lost connection has left there is ended by the next one. */
  readonly running = new Set<Remote>();
  #shell: Remote | undefined;

  constructor(alias: string, uri: string, settings: Config["ssh"]) {
    this.alias = alias;
    this.#uri = uri;
    this.#settings = settings;
  }

  get connected() {
    return this.#live !== undefined;
  }

  /** The connection, made when there is none. A host that was not reached is left alone for a while. */
  get(): Promise<Connected> {
    if (this.#closed)
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

  /** Resolves to the channel on which the command runs, as soon as there is room for one. */
  async open(command: string): Promise<ClientChannel> {
    const leave = await this.channels.acquire();
    try {
      const { client, shell } = await this.get();
      const channel = await openChannel(client, command);
      // to sshd it is open until it has read all that we sent so far, and looked around
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

  /** Only while something is under way does the connection keep the program alive. */
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

  /** End a process group there. */
  async kill({ group }: Remote) {
    await this.#live?.shell.run(`kill -s KILL -- -${group} 2>/dev/null`).catch(() => {});
  }

  /** Ends what runs there, which hangs perhaps, and the connection. */
  async close() {
    this.#closed = true;
    clearTimeout(this.#idle);
    const patience = new Promise((resolve) => setTimeout(resolve, 1000).unref());
    await Promise.race([Promise.all([...this.running].map((one) => this.kill(one))), patience]);
    this.#live?.end();
  }

  async #connect(): Promise<Connected> {
    const began = performance.now();
    try {
      const target = sshTarget(this.#uri, this.alias);
      const first = entrance(target);
      const limit = logins.get(first) ?? pLimit(this.#settings.logins);
      logins.set(first, limit);
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
      this.#watch(connected);
      if (this.#closed) connected.end();
      return connected;
    } catch (error) {
      this.#current = undefined;
      this.#failures++;
      observer.connection?.(this.alias, false);
      this.#reason = (error as Error).message;
      const pause = Math.min(30_000, 500 * 2 ** Math.min(this.#failures, 6));
      this.#retryAt = Date.now() + pause * (0.5 + Math.random() / 2); // so that many do not come back at once
      throw error;
    }
  }

  async #login(target: Target): Promise<Connected> {
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
      const left = [...this.running, ...(this.#shell ? [this.#shell] : [])].map(ending);
      this.running.clear();
      this.#shell = shell.remote;
      if (left.length > 0) await shell.run(left.join("\n"));
      if (this.#used <= 0) made.socket.unref();
      return { ...made, shell };
    } catch (cause) {
      made.end();
      if (cause instanceof HyperError && cause.code !== "unreachable") throw cause;
      const why = late ? "it does not answer" : (cause as Error).message;
      const text = `hypervisor ${this.alias}: no shell there: ${why}`;
      throw new HyperError("unreachable", text, { cause });
    }
  }

  /** Silent four times although asked: it is lost, whatever TCP believes. A pause of our own is no silence. */
  #watch({ shell, socket, end, closed }: Connected) {
    const { keepalive } = this.#settings;
    let bytes = socket.bytesRead;
    let silent = 0;
    let asked = false;
    const tick = () => {
      if (socket.bytesRead !== bytes) silent = 0;
      bytes = socket.bytesRead;
      if (silent++ >= 4) {
        log.warn({ host: this.alias }, `SSH connection silent for ${keepalive} s`);
        return end();
      }
      if (asked) return;
      asked = true;
      const heard = () => {
        asked = false;
        silent = 0;
      };
      shell.run(":").then(heard, () => {});
    };
    const timer = setInterval(tick, (keepalive * 1000) / 4);
    timer.unref();
    closed.then(() => clearInterval(timer));
  }
}

/** Ends what a lost connection has left there, if it is still that. */
function ending({ group, id, folder }: Remote): string {
  const gone = folder ? `; rm -rf ${word(folder)}` : "";
  const known = `cat /proc/${group}/cmdline /proc/${group}/environ 2>/dev/null | grep -q ${id}`;
  return `${known} && { kill -s KILL -- -${group}${gone}; }`;
}

/** The sshd that the first hop goes to. */
function entrance({ jump, host, port }: Target): string {
  return jump ? entrance(jump) : `${host}:${port}`;
}

function openChannel(client: Client, command: string): Promise<ClientChannel> {
  return new Promise((resolve, reject) =>
    client.exec(command, (error, channel) => (error ? reject(error) : resolve(channel))),
  );
}
