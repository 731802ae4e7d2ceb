/**
 * One long-lived `virsh`, fed line by line (virsh-facts, "Recommended design"). A command stands between
 * markers on stdout, and the one at its end comes on stderr too:
 *
 *     echo 'token'nB;COMMAND;echo 'token'nE;echo --err 'token'nE
 *
 * The quotes make the echo that readline writes differ from the marker. No B means that nothing ran: a
 * syntax error drops the whole line, and its end markers with it. Another line then tells where the answer
 * ends. It follows where virsh has anything to say on stderr, and each of several commands, so that it is
 * clear which of them said it:
 *
 *     echo 'token'nF;echo --err 'token'nF
 *
 * Between B and E is the command's output, exactly. Every byte counts: readline takes 2 µs for each that is
 * typed, 1 for each that is pasted as terminals paste (readline 7 and later), and a line takes 100, as a
 * question to libvirtd does.
 */

import { randomBytes } from "node:crypto";
import { log } from "../core/log.ts";
import { type Channel, MAX_OUTPUT } from "./transport.ts";
import { virshMessages } from "./virsh-errors.ts";

/** What one command wrote. `ran` is false when virsh refused the line. */
export interface Reply {
  ran: boolean;
  stdout: string;
  stderr: string;
}

/** The session is of no more use. `started` is false only when the first command provably did not begin. */
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
  #token = randomBytes(6).toString("base64url").replace(/\W/g, "x");
  #count = 0;
  /** Whether lines can be pasted; undefined until the first call has tried. */
  #pastes: boolean | undefined;
  #text = { out: "", err: "" };
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

  /** Run the lines one after the other in one round trip. A failed line does not stop the next. */
  async run(lines: string[], timeout: number, signal?: AbortSignal): Promise<Reply[]> {
    if (this.#call) throw new Error("a session runs one call at a time");
    if (this.#ended !== undefined) throw new SessionLost("ended", false, this.#ended);
    const first = this.#count + 1;
    this.#count += lines.length;
    this.#text = { out: "", err: "" }; // notices between calls belong to none
    this.#channel.ref(true);
    const finishing = lines.length > 1 || this.#pastes === undefined;
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
        onAbort = () => giveUp("aborted", "the caller went away");
        signal?.addEventListener("abort", onAbort, { once: true });
        this.#call = {
          first,
          last: this.#count,
          finishing,
          seen: { out: false, err: false },
          resolve,
          reject,
        };
        const trial = this.#pastes === undefined ? this.#frame("echo", 0, true) : "";
        const end = (n: number) => (finishing ? this.#finish(n) : "");
        const frames = lines.map((line, i) => this.#frame(line, first + i) + end(first + i));
        this.#channel.stdin.write(`${trial}${trial && end(0)}${frames.join("")}`);
      });
    } finally {
      this.#call = undefined;
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      this.#channel.ref(false);
    }
  }

  /**
   * Several lines in one frame, which is several times quicker. Undefined when virsh had anything to say on
   * stderr, or it is not clear which of them said what.
   */
  async runInOneFrame(
    lines: string[],
    timeout: number,
    signal?: AbortSignal,
  ): Promise<string[] | undefined> {
    const mark = `${this.#token.slice(0, 4)}S`; // an answer that holds it makes one too many
    const [reply] = await this.run([lines.join(`;echo ${mark};`)], timeout, signal);
    const silent = reply?.ran && virshMessages(reply.stderr).length === 0;
    const answers = silent ? reply.stdout.split(mark) : [];
    return answers.length === lines.length ? answers : undefined;
  }

  #frame(line: string, n: number, pasted = this.#pastes) {
    const t = this.#token;
    const frame = `echo '${t}'${n}B;${line};echo '${t}'${n}E;echo --err '${t}'${n}E`;
    // what is pasted goes in as it is, also the ^V that must stand before a control byte
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the control bytes
    return pasted && !/[\x01-\x1f]/.test(line) ? paste(frame) : `${frame}\n`;
  }

  #finish(n: number) {
    const finish = `echo '${this.#token}'${n}F;echo --err '${this.#token}'${n}F`;
    return this.#pastes ? paste(finish) : `${finish}\n`;
  }

  #marker(letter: "B" | "E" | "F", n: number) {
    return `${this.#token}${n}${letter}`;
  }

  #read(stream: "out" | "err", text: string) {
    log.trace({ [stream]: text }, "virsh session"); // readline echoes the commands, so they are in it too
    const call = this.#call;
    if (!call) return;
    const marker = this.#marker(call.finishing ? "F" : "E", call.last);
    const from = Math.max(0, this.#text[stream].length - marker.length);
    this.#text[stream] += text;
    if (this.#text[stream].length > MAX_OUTPUT) return this.#fail("too much output");
    call.seen[stream] ||= this.#text[stream].includes(marker, from);
    if (call.seen.out && call.seen.err) return this.#answer(call);
    if (call.finishing || call.seen.err || !/\w/.test(this.#text.err)) return;
    // it complains, and may have dropped the line
    call.finishing = true;
    call.seen = { out: false, err: false };
    this.#channel.stdin.write(this.#finish(call.last));
  }

  #answer(call: Call) {
    this.#pastes ??= this.#take(0, "F")?.ran ?? false;
    const replies: Reply[] = [];
    for (let n = call.first; n <= call.last; n++) {
      const reply = this.#take(n, call.finishing ? "F" : "E");
      if (!reply) return this.#fail("unexpected bytes");
      replies.push(reply);
    }
    call.resolve(replies);
  }

  /** Cut one command's window off the front of both streams. */
  #take(n: number, end: "E" | "F"): Reply | undefined {
    const [out, restOut] = cut(this.#text.out, this.#marker(end, n));
    const [err, restErr] = cut(this.#text.err, this.#marker(end, n));
    this.#text = { out: restOut, err: restErr };
    const [begin, ended] = [this.#marker("B", n), this.#marker("E", n)];
    // readline rings the bell on stderr; a marker itself comes as an error message
    const stderr = cut(err, ended)[0]
      .replaceAll("\x07", "")
      .replace(/error: $/, "");
    if (!out.includes(begin)) return { ran: false, stdout: "", stderr };
    const [, answer] = cut(out, begin);
    if (end === "F" && !answer.includes(ended)) return undefined;
    return { ran: true, stdout: cut(answer, ended)[0], stderr };
  }

  #fail(why: string) {
    this.#call?.reject(new SessionLost("ended", true, why));
    this.kill();
  }

  /** Where all output was read, virsh never came to a command without its begin marker; else nobody knows. */
  #end(reason: string, whole: boolean) {
    this.#ended ??= reason;
    const call = this.#call;
    const begun = call && this.#text.out.includes(this.#marker("B", call.first));
    call?.reject(new SessionLost("ended", !whole || (begun ?? false), reason));
  }
}

const paste = (line: string) => `\x1b[200~${line}\x1b[201~\n`;

function cut(text: string, marker: string): [before: string, after: string] {
  const at = text.indexOf(marker);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + marker.length)];
}
