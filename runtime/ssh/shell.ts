/**
 * A plain `sh` on the remote side, kept open beside the sessions: it ends processes there, keeps texts in
 * files that only its user can read, and by answering shows that the connection is alive.
 */
import { randomBytes } from "node:crypto";
import type { ClientChannel } from "ssh2";
import { HyperError } from "../errors.ts";
import type { TextFile } from "../transport.ts";

/** One word for a POSIX shell. */
export function word(text: string): string {
  if (text.includes("\0")) throw new HyperError("invalid_input", "a value must not contain NUL");
  return `'${text.replaceAll("'", "'\\''")}'`;
}

export class RemoteShell {
  #channel: ClientChannel;
  #token = randomBytes(9).toString("hex");
  #count = 0;
  #text = "";
  #waiting: { n: number; resolve(said: string): void; reject(error: Error): void }[] = [];
  #folder = "";
  #files = 0;

  private constructor(channel: ClientChannel) {
    this.#channel = channel;
    channel.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    channel.stderr.resume();
    channel.on("error", () => {}); // told by `close`
    channel.once("close", () => {
      const gone = new HyperError("unreachable", "the SSH connection was lost");
      for (const { reject } of this.#waiting.splice(0)) reject(gone);
    });
  }

  /** The folder for texts goes with the shell, however that ends. */
  static async open(channel: ClientChannel): Promise<RemoteShell> {
    const shell = new RemoteShell(channel);
    const folder =
      'umask 077; d=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && trap "exit 0" HUP TERM && echo "$d"';
    shell.#folder = (await shell.run(folder)).trim();
    if (shell.#folder) return shell;
    throw new HyperError(
      "unreachable",
      "no temporary folder can be made on the remote side (mktemp -d)",
    );
  }

  /** What the commands print. */
  run(commands: string): Promise<string> {
    const n = ++this.#count;
    return new Promise((resolve, reject) => {
      if (!this.#channel.writable)
        return reject(new HyperError("unreachable", "the SSH connection was lost"));
      this.#waiting.push({ n, resolve, reject });
      this.#channel.write(`${commands}\necho ${this.#token}.${n}.\n`);
    });
  }

  async putText(text: string): Promise<TextFile> {
    const path = `${this.#folder}/${++this.#files}`;
    const escaped = text.replaceAll("\\", "\\\\").replaceAll("\0", "\\0000"); // as %b reads it
    const said = await this.run(`printf %b ${word(escaped)} >${path} || echo failed`);
    if (said !== "")
      throw new HyperError("no_space", "a text cannot be written on the remote side");
    return {
      path,
      remove: () => {
        this.run(`rm -f ${path}`).catch(() => {}); // the folder goes with the shell
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
