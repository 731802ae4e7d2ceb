/**
 * A plain `sh` on the remote side, on a channel of its own: it ends processes there, and keeps texts in files that only
 * its user can read.
 */
import { randomBytes } from "node:crypto";
import { gzipSync } from "node:zlib";
import type { ClientChannel } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import type { TextFile } from "../transport.ts";

/** A process group on the remote side. */
export interface RemoteGroup {
  /** The process ID of its leader. */
  leader: number;
  /** A word in its command line or environment, which tells it from a later group with the same number. */
  id: string;
  /** Whether it runs through sudo, so that root alone may end all of it. */
  sudo?: boolean;
  /** Removed with the group. */
  folder?: string;
}

/** Quotes one word for a POSIX shell, and for fish, where a backslash escapes within quotes too. */
export function word(text: string): string {
  if (text.includes("\0")) throw new HyperError("invalid_input", "a value must not contain NUL");
  return `'${text.replace(/['\\]/g, "'\\$&'")}'`;
}

const printText = (text: string) =>
  `printf %b ${word(text.replaceAll("\\", "\\\\").replaceAll("\0", "\\0000"))}`; // as %b reads it

const printBytes = (bytes: Uint8Array) =>
  `printf %s ${word(gzipSync(bytes).toString("base64"))} | base64 -d | gzip -dc`;

export const killCommand = ({ leader, sudo }: RemoteGroup) =>
  `${sudo ? `sudo -n kill -s KILL -- -${leader}; ` : ""}kill -s KILL -- -${leader}`;

/** The command that ends a group which a lost connection has left there, if the number still means that group. */
export function killLeftover(group: RemoteGroup): string {
  const { leader, id, sudo, folder } = group;
  const remove = folder ? `; ${sudo ? "sudo -n " : ""}rm -rf ${word(folder)}` : "";
  const known = `cat /proc/${leader}/cmdline /proc/${leader}/environ 2>/dev/null | grep -q ${id}`;
  return `${known} && { ${killCommand(group)}${remove}; }`;
}

export class RemoteShell {
  #channel: ClientChannel;
  #token = randomBytes(9).toString("hex");
  #count = 0;
  #text = "";
  #waiting: { n: number; resolve(output: string): void; reject(error: Error): void }[] = [];
  #files = 0;
  /** Kept here because a channel that is lost with its connection stays writable. */
  #gone = false;
  /** The group of the remote shell, and its folder for texts. */
  readonly group: RemoteGroup & { folder: string };

  private constructor(channel: ClientChannel, id: string) {
    this.#channel = channel;
    this.group = { leader: 0, id, folder: "" };
    channel.setEncoding("utf8").on("data", (text: string) => this.#read(text));
    channel.stderr.resume();
    channel.on("error", () => {}); // `close` reports it
    channel.once("close", () => {
      this.#gone = true;
      const gone = new HyperError("unreachable", "the SSH connection was lost");
      for (const { reject } of this.#waiting.splice(0)) reject(gone);
    });
  }

  /** `id`: a word in its environment. The shell removes its folder for texts, however it ends. */
  static async open(channel: ClientChannel, id: string): Promise<RemoteShell> {
    const shell = new RemoteShell(channel, id);
    const begin =
      'umask 077; d=$(mktemp -d) && trap \'rm -rf "$d"\' EXIT && trap "exit 0" HUP TERM PIPE && echo "$$ $d"';
    const report = (await shell.run(begin)).trim().split("\n").at(-1) ?? ""; // the login may print lines before
    const [, leader, folder] = /^(\d+) (.+)$/.exec(report) ?? [];
    if (folder) {
      Object.assign(shell.group, { leader: Number(leader), folder });
      return shell;
    }
    throw new HyperError(
      "unreachable",
      "no temporary folder can be made on the remote side (mktemp -d)",
    );
  }

  /** Runs commands and resolves to what they print. */
  run(commands: string): Promise<string> {
    const n = ++this.#count;
    return new Promise((resolve, reject) => {
      if (this.#gone || !this.#channel.writable)
        return reject(new HyperError("unreachable", "the SSH connection was lost"));
      this.#waiting.push({ n, resolve, reject });
      this.#channel.write(`${commands}\necho ${this.#token}.${n}.\n`);
    });
  }

  async putText(content: string | Uint8Array): Promise<TextFile> {
    const path = `${this.group.folder}/${++this.#files}`;
    const print = typeof content === "string" ? printText(content) : printBytes(content);
    const output = await this.run(`${print} >${word(path)} || echo failed`);
    if (output !== "")
      throw new HyperError("no_space", "a text cannot be written on the remote side");
    return {
      path,
      remove: () => {
        this.run(`rm -f ${word(path)}`).catch(() => {}); // the shell removes its folder
      },
    };
  }

  /** Writes over a regular file of exactly this length; false if that is not there, or not the login's to write. */
  async overwrite(path: string, content: Uint8Array): Promise<boolean> {
    const file = word(path);
    const isOurs = `[ -f ${file} ] && [ ! -L ${file} ] && [ -w ${file} ] && [ "$(wc -c <${file})" -eq ${content.length} ]`;
    const output = await this.run(
      `if ${isOurs}; then ${printBytes(content)} 1<>${file} && echo done || echo failed; fi`,
    );
    if (output === "failed\n")
      throw new HyperError("command_failed", `${path} cannot be written on the remote side`);
    return output === "done\n";
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
