/**
 * A plain `sh` on the remote side, kept open beside the sessions: it ends processes there, keeps texts in
 * files that only its user can read, and by answering shows that the connection is alive.
 */
import { randomBytes } from "node:crypto";
import type { ClientChannel } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import type { TextFile } from "../transport.ts";

/** A process group on the remote side, and the word by which it is known there. */
export interface Remote {
  group: number;
  id: string;
  /** What goes with it. */
  folder?: string;
}

/** One word for a POSIX shell, or fish, to which a backslash means something in quotes as well. */
export function word(text: string): string {
  if (text.includes("\0")) throw new HyperError("invalid_input", "a value must not contain NUL");
  return `'${text.replace(/['\\]/g, "'\\$&'")}'`;
}

export class RemoteShell {
  #channel: ClientChannel;
  #token = randomBytes(9).toString("hex");
  #count = 0;
  #text = "";
  #waiting: { n: number; resolve(said: string): void; reject(error: Error): void }[] = [];
  #files = 0;
  /** A channel that is lost with its connection stays writable. */
  #gone = false;
  /** The shell itself there, and its folder for texts. */
  readonly remote: Remote & { folder: string };

  private constructor(channel: ClientChannel, id: string) {
    this.#channel = channel;
    this.remote = { group: 0, id, folder: "" };
    channel.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    channel.stderr.resume();
    channel.on("error", () => {}); // told by `close`
    channel.once("close", () => {
      this.#gone = true;
      const gone = new HyperError("unreachable", "the SSH connection was lost");
      for (const { reject } of this.#waiting.splice(0)) reject(gone);
    });
  }

  /** `id`: the word in its environment. The folder for texts goes with the shell, however that ends. */
  static async open(channel: ClientChannel, id: string): Promise<RemoteShell> {
    const shell = new RemoteShell(channel, id);
    const begin =
      'umask 077; d=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && trap "exit 0" HUP TERM PIPE && echo "$$ $d"';
    const said = (await shell.run(begin)).trim().split("\n").at(-1) ?? ""; // a login may print before
    const [, group, folder] = /^(\d+) (.+)$/.exec(said) ?? [];
    if (folder) {
      Object.assign(shell.remote, { group: Number(group), folder });
      return shell;
    }
    throw new HyperError(
      "unreachable",
      "no temporary folder can be made on the remote side (mktemp -d)",
    );
  }

  /** What the commands print. */
  run(commands: string): Promise<string> {
    const n = ++this.#count;
    return new Promise((resolve, reject) => {
      if (this.#gone || !this.#channel.writable)
        return reject(new HyperError("unreachable", "the SSH connection was lost"));
      this.#waiting.push({ n, resolve, reject });
      this.#channel.write(`${commands}\necho ${this.#token}.${n}.\n`);
    });
  }

  async putText(text: string): Promise<TextFile> {
    const path = `${this.remote.folder}/${++this.#files}`;
    const escaped = text.replaceAll("\\", "\\\\").replaceAll("\0", "\\0000"); // as %b reads it
    const said = await this.run(`printf %b ${word(escaped)} >${word(path)} || echo failed`);
    if (said !== "")
      throw new HyperError("no_space", "a text cannot be written on the remote side");
    return {
      path,
      remove: () => {
        this.run(`rm -f ${word(path)}`).catch(() => {}); // the folder goes with the shell
      },
    };
  }

  #read(text: string) {
    this.#text += text;
    for (let next = this.#waiting[0]; next; next = this.#waiting[0]) {
      const marker = `${this.#token}.${next.n}.\n`;
      const at = this.#text.indexOf(marker);
      if (at < 0) return;
      next.resolve(this.#text.slice(0, at));
      this.#text = this.#text.slice(at + marker.length);
      this.#waiting.shift();
    }
  }
}
