/** The CPU seconds of a process and of all that it has started. */
import { readFileSync } from "node:fs";
import { commandOf, tree } from "../lab/sshd.ts";

const TICKS_PER_SECOND = 100;

/**
 * By program. `name` stands for the root's own. What a process has waited for counts under that process, as
 * "children of" it, such as the profile of a login shell under the program that it has become. The kernel tells whole
 * hundredths of a second of each process, so of many short ones less is shown than they took.
 */
export function cpuByProgram(root: number, name = commandOf(root)): Record<string, number> {
  const seconds: Record<string, number> = {};
  for (const pid of tree(root)) {
    const program = pid === root ? name : commandOf(pid);
    const fields = statOf(pid);
    const [own = 0, waited = 0] = [sum(fields, 11), sum(fields, 13)]; // utime and stime, cutime and cstime
    for (const [key, value] of [
      [program, own],
      [`children of ${program}`, waited],
    ] as const)
      seconds[key] = (seconds[key] ?? 0) + value;
  }
  return Object.fromEntries(
    Object.entries(seconds).flatMap(([key, value]) =>
      value >= 0.005 ? [[key, round(value)]] : [],
    ),
  );
}

const sum = (fields: number[], from: number) =>
  ((fields[from] ?? 0) + (fields[from + 1] ?? 0)) / TICKS_PER_SECOND;

const round = (value: number) => Math.round(value * 100) / 100;

/** The fields of proc(5) after the name in parentheses. */
function statOf(pid: number): number[] {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    return text.split(") ").at(-1)?.split(" ").map(Number) ?? [];
  } catch {
    return []; // it has ended
  }
}
