/** One long-lived `virsh`, fed line by line in the frames of session-frames.ts. */
import { log } from "../core/log.ts";
import { Frames, type Output, type Reply } from "./session-frames.ts";
import { type Channel, MAX_OUTPUT } from "./transport.ts";
import { virshMessages } from "./virsh-errors.ts";

/** The session can no longer be used. `started` is false only when the first command provably did not begin. */
export class SessionLost extends Error {
  readonly started: boolean;
  readonly reason: "timeout" | "aborted" | "ended";

  constructor(reason: "timeout" | "aborted" | "ended", started: boolean, message: string) {
    super(message);
    this.name = "SessionLost";
    this.reason = reason;
    this.started = started;
  }
}

interface Call {
  first: number;
  last: number;
  /** Whether finish lines are on their way, and not the end markers alone. */
  finishing: boolean;
  seen: { out: boolean; err: boolean };
  resolve(replies: Reply[]): void;
  reject(error: unknown): void;
}

export class Session {
  #channel: Channel;
  #frames = new Frames();
  #count = 0;
  /** Whether lines can be pasted; undefined until the first call has tried. */
  #pastes: boolean | undefined;
  #output: Output = { out: "", err: "" };
  #call: Call | undefined;
  #ended: string | undefined;

  constructor(channel: Channel) {
    this.#channel = channel;
    channel.stdout.setEncoding("utf8").on("data", (text: string) => this.#read("out", text));
    channel.stderr.setEncoding("utf8").on("data", (text: string) => this.#read("err", text));
    channel.stdout.resume();
    channel.closed.then(
      (reason) => this.#end(reason, true),
      (error) => this.#end(error.message, false),
    );
    channel.ref(false);
  }

  get alive() {
    return this.#ended === undefined;
  }

  kill() {
    this.#ended ??= "killed";
    this.#channel.kill();
  }

  /** Runs the lines one after the other in one round trip. A failed line does not stop the next. */
  async run(lines: string[], timeout: number, signal?: AbortSignal): Promise<Reply[]> {
    if (this.#call) throw new Error("a session runs one call at a time");
    if (this.#ended !== undefined) throw new SessionLost("ended", false, this.#ended);
    this.#output = { out: "", err: "" }; // notices between calls belong to none
    this.#channel.ref(true);
    let timer: NodeJS.Timeout | undefined;
    let onAbort = () => {};
    try {
      return await new Promise<Reply[]>((resolve, reject) => {
        const giveUp = (reason: "timeout" | "aborted", text: string) => {
          reject(new SessionLost(reason, true, text));
          this.kill();
        };
        timer = setTimeout(
          () => giveUp("timeout", `no answer within ${timeout / 1000} s`),
          timeout,
        );
        onAbort = () => giveUp("aborted", "the client disconnected");
        signal?.addEventListener("abort", onAbort, { once: true });
        this.#write(lines, resolve, reject);
      });
    } finally {
      this.#call = undefined;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#channel.ref(false);
    }
  }

  /**
   * Runs several lines in one frame, which is several times quicker. Undefined when virsh wrote anything to
   * stderr, or when the answers cannot be told apart.
   */
  async runInOneFrame(
    lines: string[],
    timeout: number,
    signal?: AbortSignal,
  ): Promise<string[] | undefined> {
    const { separator } = this.#frames; // an answer that holds it makes one too many
    const [reply] = await this.run([lines.join(`;echo ${separator};`)], timeout, signal);
    const silent = reply?.ran && virshMessages(reply.stderr).length === 0;
    const answers = silent ? reply.stdout.split(separator) : [];
    return answers.length === lines.length ? answers : undefined;
  }

  #write(lines: string[], resolve: Call["resolve"], reject: Call["reject"]) {
    const first = this.#count + 1;
    this.#count += lines.length;
    const tries = this.#pastes === undefined;
    const pasted = this.#pastes ?? false;
    const finishing = lines.length > 1 || tries;
    const seen = { out: false, err: false };
    this.#call = { first, last: this.#count, finishing, seen, resolve, reject };
    const end = (n: number) => (finishing ? this.#frames.finish(n, pasted) : "");
    const trial = tries ? this.#frames.command("echo", 0, true) + end(0) : "";
    const frames = lines.map(
      (line, i) => this.#frames.command(line, first + i, pasted) + end(first + i),
    );
    this.#channel.stdin.write(trial + frames.join(""));
  }

  #read(stream: "out" | "err", text: string) {
    log.trace({ [stream]: text }, "virsh session"); // readline echoes the commands, so they are in it too
    const call = this.#call;
    if (!call) return;
    const marker = this.#frames.marker(call.finishing ? "F" : "E", call.last);
    const from = Math.max(0, this.#output[stream].length - marker.length);
    this.#output[stream] += text;
    if (this.#output[stream].length > MAX_OUTPUT) return this.#fail("too much output");
    call.seen[stream] ||= this.#output[stream].includes(marker, from);
    if (call.seen.out && call.seen.err) return this.#answer(call);
    if (call.finishing || call.seen.err || !/\w/.test(this.#output.err)) return;
    // virsh reports an error, and may have dropped the line
    call.finishing = true;
    call.seen = { out: false, err: false };
    this.#channel.stdin.write(this.#frames.finish(call.last, this.#pastes ?? false));
  }

  #answer(call: Call) {
    this.#pastes ??= this.#takeReply(0, "F")?.ran ?? false;
    const replies: Reply[] = [];
    for (let n = call.first; n <= call.last; n++) {
      const reply = this.#takeReply(n, call.finishing ? "F" : "E");
      if (!reply) return this.#fail("unexpected bytes");
      replies.push(reply);
    }
    call.resolve(replies);
  }

  #takeReply(n: number, end: "E" | "F"): Reply | undefined {
    const { reply, rest } = this.#frames.cutReply(this.#output, n, end);
    this.#output = rest;
    return reply;
  }

  #fail(why: string) {
    this.#call?.reject(new SessionLost("ended", true, why));
    this.kill();
  }

  /**
   * Without a begin marker in complete output the command did not start; if output may be lost, it is taken
   * to have started.
   */
  #end(reason: string, complete: boolean) {
    this.#ended ??= reason;
    const call = this.#call;
    const begun = call && this.#output.out.includes(this.#frames.marker("B", call.first));
    call?.reject(new SessionLost("ended", !complete || (begun ?? false), reason));
  }
}
