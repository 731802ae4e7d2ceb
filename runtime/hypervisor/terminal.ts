/** A program of this machine on a terminal of its own. */
import { HyperError } from "../core/errors.ts";
import type { Terminal, TerminalOptions } from "./transport.ts";

/** `env`: the whole environment of the program. `open` holds it until it has ended. */
export function openLocalTerminal(
  argv: string[],
  env: Record<string, string | undefined>,
  { columns, rows, onData }: TerminalOptions,
  open: Set<Terminal>,
): Terminal {
  let unwritten = 0;
  const child = start(argv, {
    env: { ...env, TERM: "xterm-256color" },
    terminal: {
      ...{ cols: columns, rows },
      data: (_, bytes) => onData(bytes),
      drain: () => {
        unwritten = 0;
      },
    },
  });
  const { terminal } = child;
  if (!terminal) throw new Error("Bun made no terminal");
  // Bun cannot stop reading a terminal (1.4.5), so the program that writes to it stops: its output waits in libvirt then
  const signal = (name: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(name);
  };
  const made: Terminal = {
    get unwritten() {
      return unwritten;
    },
    write(bytes) {
      if (terminal.closed) return;
      unwritten += bytes.length;
      terminal.write(bytes);
    },
    resize: (columns, rows) => void (terminal.closed || terminal.resize(columns, rows)),
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
    kill: () => signal("SIGKILL"),
    ended: child.exited.then((exitCode) => {
      open.delete(made);
      terminal.close();
      return exitCode;
    }),
  };
  open.add(made);
  return made;
}

function start(argv: string[], options: Bun.Spawn.SpawnOptions<"ignore", "ignore", "ignore">) {
  try {
    return Bun.spawn(argv, options);
  } catch (cause) {
    const text = `${argv[0]} is not installed on this machine`;
    throw new HyperError("unsupported", text, { cause });
  }
}
