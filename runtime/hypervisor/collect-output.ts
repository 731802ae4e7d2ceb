/** Collects the output of one program until it ends or is ended: at its timeout, by the signal, or for too much output. */
import type { Readable } from "node:stream";
import { HyperError } from "../core/errors.ts";
import { type ExecOptions, type ExecResult, MAX_OUTPUT } from "./transport.ts";

export interface RunningProgram {
  /** Its name, for messages. */
  name: string;
  stdout: Readable;
  stderr: Readable;
  /** Resolves to the exit code once all output has been read. Rejects when it cannot be known. */
  exitCode: Promise<number>;
  /** Called once its output is collected, unless the call was cancelled before. */
  begin?(): void;
  /** Ends the program at once, and everything it started. */
  end(): void;
}

export function collectOutput(
  { name, stdout, stderr, exitCode, begin, end }: RunningProgram,
  { timeout, signal, onOutput }: Omit<ExecOptions, "input">,
): Promise<ExecResult> {
  return new Promise((resolve, reject) => {
    const output = { stdout: "", stderr: "" };
    const settle = (done: () => void) => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", onAbort);
      done();
    };
    // without waiting for the exit code: a process that left the group may hold the output open for ever
    const cutOff = (error: HyperError) =>
      settle(() => {
        reject(error);
        end();
      });
    const onAbort = () => cutOff(cancelled(name));
    const late = `${name} took longer than ${timeout / 1000} s`;
    const timer = setTimeout(() => cutOff(new HyperError("timed_out", late)), timeout);
    signal?.addEventListener("abort", onAbort, { once: true });
    for (const [stream, readable] of [["stdout", stdout] as const, ["stderr", stderr] as const]) {
      readable.setEncoding("utf8").on("data", (text: string) => {
        output[stream] += text;
        onOutput?.(text, stream);
        if (output[stream].length <= MAX_OUTPUT) return;
        const tooMuch = `${name} printed more than ${MAX_OUTPUT} bytes`;
        cutOff(new HyperError("command_failed", tooMuch));
      });
      readable.resume();
    }
    exitCode.then(
      (code) => settle(() => resolve({ ...output, exitCode: code })),
      (error) => settle(() => reject(error)),
    );
    if (signal?.aborted) return onAbort(); // while the program started
    begin?.();
  });
}

export const cancelled = (program: string) =>
  new HyperError("cancelled", `${program} was cancelled`);
