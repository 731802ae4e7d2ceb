/** One open serial console: `virsh console` on a terminal, one who types, and any number who watch. */
import { HyperError, toHyperError } from "../core/errors.ts";
import { CLOSED, type Viewer } from "../core/socket.ts";
import type { Context } from "../hypervisor/context.ts";
import type { Terminal } from "../hypervisor/transport.ts";
import type { Backlog } from "./backlog.ts";
import { watchLibvirt } from "./lost.ts";
import { readLog } from "./serial-log.ts";
import { consoleEnd, consoleError, overlap, preface } from "./serial-output.ts";
import { SerialViewers } from "./serial-viewers.ts";
import { watchStop } from "./stopped.ts";

/** Of what the guest wrote last: for a viewer who comes later. */
const KEPT_BYTES = 64 * 1024;
/** Bytes of the caller's that the guest has not taken. */
const MAX_UNWRITTEN = 2 ** 20;
const BEGIN_MS = 20_000;
const END_BYTES = 4096;

export interface SerialTarget {
  /** The domain's name, and the words for `--domain`. */
  name: string;
  ref: string;
  device: string;
  /** Where libvirt keeps what the guest writes; null where it does not. */
  log: string | null;
  force: boolean;
}

export class SerialSession {
  readonly target: SerialTarget;
  /** Called once, when it has ended. */
  onEnd = () => {};
  /** Settles when it is open, or could not be opened. */
  opened: Promise<unknown> = Promise.resolve();
  /** Resolves once it has ended. */
  over: Promise<void> = Promise.resolve();
  /** Its own: whoever began it may leave before the others. */
  #abort = new AbortController();
  #holders = new Set<object>();
  /** Typists whose WebSocket is not open yet. */
  #coming = new Set<object>();
  #terminal: Terminal | undefined;
  #viewers = new SerialViewers();
  #kept = Buffer.alloc(0);
  #isOpen = false;
  #isOver = false;
  #isPaused = false;
  #split = preface();
  /** virsh's own words are the last ones when it fails. */
  #end = Buffer.alloc(0);
  #begun = Promise.withResolvers<void>();
  #failed = Promise.withResolvers<never>();

  constructor(target: SerialTarget) {
    this.target = target;
    this.#failed.promise.catch(() => {}); // `open` hears of it
  }

  get isTyped() {
    return this.#viewers.isTyped || this.#coming.size > 0;
  }

  get isEnding() {
    return this.#abort.signal.aborted;
  }

  /** A place of one who waits for it or has it: it ends when the last has left. */
  hold(types: boolean) {
    const one = {};
    this.#holders.add(one);
    if (types) this.#coming.add(one);
    return {
      arrived: () => void this.#coming.delete(one),
      leave: () => {
        this.#coming.delete(one);
        if (this.#holders.delete(one) && this.#holders.size === 0) this.end();
      },
    };
  }

  /** Resolves once it is open and has what the guest wrote before. Throws virsh's error. */
  async open(ctx: Context): Promise<this> {
    const { name, ref, device, force, log } = this.target;
    const words = ["console", "--domain", ref, "--devname", device, ...(force ? ["--force"] : [])];
    const onData = (bytes: Uint8Array) => this.#read(bytes);
    const { signal } = this.#abort;
    const libvirt = watchLibvirt(ctx.host, signal);
    void libvirt.lost.then((why) => {
      if (why === undefined) return;
      this.#over(new HyperError("unreachable", `libvirt of ${ctx.host} has gone: ${why}`));
      this.end();
    });
    const stopped = watchStop(ctx.host, name, signal);
    this.#terminal = await ctx.virshTerminal(words, { columns: 80, rows: 24, onData });
    this.#terminal.ended.then(
      async (code) => {
        const why = this.#isOpen ? await stopped() : undefined;
        this.#over(code === 0 ? undefined : consoleError(`${this.#end}`, name), why);
      },
      (error) => this.#over(toHyperError(error)),
    );
    if (signal.aborted) this.#terminal.kill(); // all have left meanwhile
    const late = setTimeout(() => {
      const text = `virsh console of domain ${name} says nothing after ${BEGIN_MS / 1000} s`;
      this.#failed.reject(new HyperError("timed_out", text));
    }, BEGIN_MS);
    await this.#unlessFailed(this.#begun.promise).finally(() => clearTimeout(late));
    await this.#unlessFailed(libvirt.ready);
    // virsh opens the console after it has said so; where it may not, that is known by now
    await this.#unlessFailed(ctx.virsh(["domstate", "--domain", ref], { signal }));
    const before = await this.#unlessFailed(readLog(ctx, log, KEPT_BYTES, signal));
    this.#kept = keep(before, this.#kept.subarray(overlap(before, this.#kept)));
    this.#isOpen = true;
    return this;
  }

  /** A viewer who begins with what the guest wrote last. */
  add(viewer: Viewer, types: boolean): Backlog {
    const backlog = this.#viewers.add(viewer, types, this.#kept);
    if (this.#isOver) viewer.close(CLOSED.done, "the console has ended");
    this.#flow();
    return backlog;
  }

  remove(backlog: Backlog) {
    this.#viewers.remove(backlog);
    this.#flow();
  }

  /** The last viewer has gone, or never came. */
  end() {
    this.#abort.abort();
    this.#terminal?.kill();
  }

  drain(backlog: Backlog) {
    backlog.drain();
    this.#flow();
  }

  /** What the typist types; what others send is dropped. */
  write(backlog: Backlog, bytes: Uint8Array) {
    if (!this.#viewers.isTypist(backlog) || !this.#terminal) return;
    if (this.#terminal.unwritten + bytes.length > MAX_UNWRITTEN)
      return backlog.viewer.close(CLOSED.tooSlow, "the guest takes nothing; connect again");
    this.#terminal.write(bytes);
  }

  resize(backlog: Backlog, columns: number, rows: number) {
    if (this.#viewers.isTypist(backlog)) this.#terminal?.resize(columns, rows);
  }

  #unlessFailed = <T>(work: Promise<T>) => Promise.race([work, this.#failed.promise]);

  #read(bytes: Uint8Array) {
    this.#end = keep(this.#end, Buffer.from(bytes), END_BYTES);
    const output = this.#isOpen || this.#kept.length > 0 ? bytes : this.#split(bytes);
    if (output === undefined) return;
    this.#begun.resolve();
    if (output.length === 0) return;
    this.#kept = keep(this.#kept, Buffer.from(output));
    this.#viewers.send(Buffer.from(output)); // one for all who wait
    this.#flow();
  }

  #flow() {
    const wait = this.#viewers.isFull;
    if (wait === this.#isPaused) return;
    this.#isPaused = wait;
    if (wait) this.#terminal?.pause();
    else this.#terminal?.resume();
  }

  /** `why`: its domain runs no more, or elsewhere. */
  #over(error: HyperError | undefined, why?: string) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onEnd();
    this.#failed.reject(error ?? new HyperError("not_active", "the console has ended"));
    const { code, reason } = consoleEnd(error, why);
    this.#viewers.close(code, reason);
  }
}

const keep = (before: Buffer, more: Buffer, bytes = KEPT_BYTES) =>
  Buffer.concat([before, more]).subarray(-bytes);
