import { spawn } from "node:child_process";
import { constants } from "node:os";

/** @typedef {import("node:child_process").ChildProcess} ChildProcess */

/** @type {NodeJS.Signals[]} */
const SIGNALS = ["SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM"];

/**
 * Runs argv as this process's one main child: it has the terminal, gets our signals, and its exit
 * code (128 + n for signal n) is the answer.
 *
 * @param {string[]} argv
 * @param {import("node:child_process").SpawnOptions} options
 * @param {(child: ChildProcess, signal: NodeJS.Signals) => void} relay how a signal reaches it
 * @param {(child: ChildProcess) => void} started called once, with the child
 * @returns {Promise<number>}
 */
export function runMain(
  argv,
  options = {},
  relay = (child, signal) => {
    child.kill(signal);
  },
  started = () => {},
) {
  const [command = "", ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: "inherit", ...options });
    started(child);
    for (const signal of SIGNALS) {
      process.on(signal, () => {
        // A terminal's ^C reaches the whole process group; passed on, it would count as a second ^C.
        if (process.stdin.isTTY && (signal === "SIGINT" || signal === "SIGQUIT")) return;
        relay(child, signal);
      });
    }
    child.on("error", (error) => {
      console.error(`Cannot run ${command}: ${error.message}`);
      resolve(127);
    });
    child.on("exit", (code, signal) => {
      resolve(code ?? 128 + constants.signals[signal ?? "SIGKILL"]);
    });
  });
}
