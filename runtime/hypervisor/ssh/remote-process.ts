/** Starts a program on the remote side, in a process group that is known here and can be ended. */
import { randomBytes } from "node:crypto";
import type { ClientChannel, PseudoTtyOptions } from "ssh2";
import { HyperError } from "../../core/errors.ts";
import type { Connection } from "./connection.ts";
import { type RemoteGroup, word } from "./shell.ts";

/** The begin of every script: it reports its process group after its id ($0), or that the program is missing. */
const ANNOUNCE = [
  "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin && export PATH",
  "unset LANGUAGE VIRSH_DEBUG VIRSH_LOG_FILE",
  'command -v "$1" >/dev/null || { echo "$0 missing" && exit 127; }',
  'read -r _ _ _ _ g _ </proc/$$/stat && echo "$0 $g"',
];

/**
 * Becomes the program. Its history goes to a folder of its own; without XDG_RUNTIME_DIR libvirt would look for
 * the user's session daemon in that folder, too.
 */
export const SESSION_SCRIPT = [
  ...ANNOUNCE,
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's
  'export "XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}}"',
  'exec env "XDG_CACHE_HOME=$HOME/.cache/hypersdk" "HYPERSDK_ID=$0" "$@"',
];

/**
 * Starts the program with the first line of input, so that a program whose connection was lost before has
 * not begun. The end of the input, which a lost connection brings too, ends the program. The program's own
 * input is the file $I.
 */
export const COMMAND_SCRIPT = [
  ...ANNOUNCE,
  "read -r _ || exit 1",
  'exec 3<&0; "$@" <"$I" & c=$!',
  // what runs through sudo, root alone may end
  'k() { [ "$1" = sudo ] && sudo -n kill -s KILL -- "-$g"; kill -s KILL -- "-$g"; }',
  '{ while read -r _; do :; done; k "$1"; } <&3 >/dev/null 2>&1 & w=$!',
  "wait $c; s=$?; kill -s KILL $w; exit $s",
];

/**
 * The same for a program that reads what follows the first line, to its end. A lost connection is an end too, so that the
 * program must know how its input ends.
 */
export const SPAWN_SCRIPT = [...ANNOUNCE, "read -r _ || exit 1", '"$@"; exit $?'];

/** Becomes the program, on a terminal: whatever it reads and writes is the terminal's. */
export const TERMINAL_SCRIPT = [...ANNOUNCE, 'exec "$@"'];

export interface RemoteProcess {
  channel: ClientChannel;
  group: RemoteGroup;
  /** Resolves at the channel's end to how the program ended; undefined when the connection was lost. */
  ended: Promise<{ code: number | null; signal?: string | undefined } | undefined>;
}

/** Resolves once the program is about to run. */
export async function startRemotely(
  connection: Connection,
  [program = "", ...args]: string[],
  script: string[],
  variables: Record<string, string>,
  { folder, pty }: { folder?: string | undefined; pty?: PseudoTtyOptions } = {},
): Promise<RemoteProcess> {
  const id = `hypersdk-${randomBytes(9).toString("hex")}`;
  const line = commandLine(script, id, variables, [program, ...args]);
  const { channel, ended, leader } = await connection.start(
    line,
    (channel, timeout, late) => begin(channel, id, timeout, late),
    pty,
  );
  if (leader === undefined) {
    const code = program === "virsh" ? "unreachable" : "unsupported";
    throw new HyperError(code, `${program} is not installed on hypervisor ${connection.alias}`);
  }
  const group = { leader, id, sudo: program === "sudo", ...(folder && { folder }) };
  connection.running.add(group);
  channel.once("exit", () => connection.running.delete(group));
  return { channel, group, ended };
}

/**
 * Decodes a command that the login shell could not take as it is. csh ends a quoted word at a line break, and
 * expands `!` within quotes: in such a command these travel as octal numbers.
 */
const DECODER = 'eval "$(printf %b "$0")"';
// biome-ignore lint/suspicious/noControlCharactersInRegex: line breaks and the like
const NOT_FOR_CSH = /[\x01-\x1f\x7f!]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: the same, and what quotes
const ENCODED = /[\x01-\x1f\x7f!'\\]/g;
const octal = (byte: string) => `\\0${byte.charCodeAt(0).toString(8).padStart(3, "0")}`;

/** One command line for any login shell. */
function commandLine(
  script: string[],
  id: string,
  variables: Record<string, string>,
  argv: string[],
) {
  const set = Object.entries(variables).map(([name, value]) => `${name}=${word(value)}`);
  const words = [script.join("; "), id, ...argv].map(word);
  const line = `exec env ${set.join(" ")} sh -c ${words.join(" ")}`;
  if (![...argv, ...Object.values(variables)].some((value) => NOT_FOR_CSH.test(value))) return line;
  return `exec sh -c ${word(DECODER)} '${line.replace(ENCODED, octal)}'`;
}

/** The process group that a script on a new channel reports; undefined when it reports that the program is missing. */
async function begin(channel: ClientChannel, id: string, timeout: number, late: string) {
  channel.on("error", () => {}); // `close` reports it
  let exit: Awaited<RemoteProcess["ended"]>;
  channel.once("exit", (code: number | null, signal?: string) => {
    exit = { code, signal };
  });
  const ended: RemoteProcess["ended"] = new Promise((resolve) =>
    channel.once("close", () => resolve(exit)),
  );
  const why = () =>
    exit
      ? `no shell there: it ended with ${exit.signal ?? `exit ${exit.code}`} before it started anything`
      : "the SSH connection was lost";
  return { channel, ended, leader: await readLeader(channel, id, timeout, late, why) };
}

/** `late` and `why`: the errors of a channel on which nothing is reported in time, or that is closed before. */
function readLeader(
  channel: ClientChannel,
  id: string,
  timeout: number,
  late: string,
  why: () => string,
): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    let text = "";
    const settle = (done: () => void) => {
      clearTimeout(timer);
      channel.pause(); // until the output is collected
      channel.off("data", onData);
      channel.off("close", onClose);
      done();
    };
    const onData = (data: Buffer) => {
      text += data.toString("latin1");
      const report = new RegExp(`${id} (\\d+|missing)\r?\n([^]*)$`).exec(text);
      if (!report) return;
      const [, leader, rest = ""] = report;
      settle(() => resolve(leader === "missing" ? undefined : Number(leader)));
      if (rest) channel.unshift(Buffer.from(rest, "latin1"));
    };
    const fail = (why: string) => settle(() => reject(new HyperError("unreachable", why)));
    const onClose = () => fail(why());
    const timer = setTimeout(() => fail(late), timeout);
    channel.on("data", onData);
    channel.once("close", onClose);
  });
}
