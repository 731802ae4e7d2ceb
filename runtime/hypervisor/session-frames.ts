/**
 * The frames in which a warm `virsh` is asked, and the cutting of its answers (virsh-facts, "Recommended
 * design"). A command stands between markers on stdout, and the marker at its end comes on stderr too:
 *
 *     echo 'token'nB;COMMAND;echo 'token'nE;echo --err 'token'nE
 *
 * The quotes make the echo that readline writes differ from the marker. Without a B nothing ran: a syntax
 * error drops the whole line, and its end markers with it. A finish line then marks where the answer ends.
 * It follows a frame for which virsh writes anything to stderr, and each of several frames, so that every
 * message belongs to one of them:
 *
 *     echo 'token'nF;echo --err 'token'nF
 *
 * Between B and E is the command's output, exactly. Every byte counts: readline takes 2 µs for each that is
 * typed, 1 for each that is pasted as terminals paste (readline 7 and later), and a line takes 100, as a
 * question to libvirtd does.
 */
import { randomBytes } from "node:crypto";

/** Reads that share a frame: readline takes disproportionately long for very long lines. */
export const MAX_COMMANDS_PER_FRAME = 16;

/** What one command wrote. `ran` is false when virsh refused the line. */
export interface Reply {
  ran: boolean;
  stdout: string;
  stderr: string;
}

/** Output that has been read and belongs to no reply yet. */
export interface Output {
  out: string;
  err: string;
}

/** B begins a command's output, E ends it, F finishes the answer of a line that may have been dropped. */
type Letter = "B" | "E" | "F";

export class Frames {
  #token = randomBytes(6).toString("base64url").replace(/\W/g, "x");

  /** Separates the answers of commands that share a frame. */
  readonly separator = `${this.#token.slice(0, 4)}S`;

  marker(letter: Letter, n: number) {
    return `${this.#token}${n}${letter}`;
  }

  command(line: string, n: number, pasted: boolean) {
    const t = this.#token;
    const frame = `echo '${t}'${n}B;${line};echo '${t}'${n}E;echo --err '${t}'${n}E`;
    // a pasted line is taken literally, also the ^V that must stand before a control byte
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the control bytes
    return pasted && !/[\x01-\x1f]/.test(line) ? paste(frame) : `${frame}\n`;
  }

  finish(n: number, pasted: boolean) {
    const finish = `echo '${this.#token}'${n}F;echo --err '${this.#token}'${n}F`;
    return pasted ? paste(finish) : `${finish}\n`;
  }

  /** Cuts the reply to command `n` off the front of both streams; undefined when the output makes no sense. */
  cutReply(output: Output, n: number, end: "E" | "F"): { reply?: Reply; rest: Output } {
    const [out, restOut] = cut(output.out, this.marker(end, n));
    const [err, restErr] = cut(output.err, this.marker(end, n));
    const rest = { out: restOut, err: restErr };
    const [begin, ended] = [this.marker("B", n), this.marker("E", n)];
    // readline rings the bell on stderr; a marker itself comes as an error message
    const stderr = cut(err, ended)[0]
      .replaceAll("\x07", "")
      .replace(/error: $/, "");
    if (!out.includes(begin)) return { reply: { ran: false, stdout: "", stderr }, rest };
    const [, answer] = cut(out, begin);
    if (end === "F" && !answer.includes(ended)) return { rest };
    return { reply: { ran: true, stdout: cut(answer, ended)[0], stderr }, rest };
  }
}

const paste = (line: string) => `\x1b[200~${line}\x1b[201~\n`;

function cut(text: string, marker: string): [before: string, after: string] {
  const at = text.indexOf(marker);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + marker.length)];
}
