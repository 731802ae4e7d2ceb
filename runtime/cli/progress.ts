/** Shows how far a running call is, and cancels it on Ctrl-C. */
import { type Progress, unwatched } from "../core/progress.ts";
import { advance, type Bar, renderBar } from "./bar.ts";

const CANCELLING = "cancelling; steps that cannot be undone continue. Ctrl-C again exits now";

interface Watching {
  quiet?: boolean;
  /** What Ctrl-C begins, and what a second one does. */
  cancelling?: string;
}

/**
 * Ctrl-C cancels the call, which then rolls back; a second one, or any other signal, ends the process at once.
 * So does the first where there is no label: of a stream, whose events are shown instead.
 */
export async function watched<T>(
  label: string | undefined,
  work: (signal: AbortSignal, progress: Progress) => Promise<T>,
  { quiet = false, cancelling = CANCELLING }: Watching = {},
): Promise<T> {
  const abort = new AbortController();
  const leave = async (_signal: string, number: number) => {
    const { closeHypervisors } = await import("../hypervisor/registry.ts");
    await closeHypervisors();
    process.exit(128 + number);
  };
  const interrupt = (signal: string, number: number) => {
    if (abort.signal.aborted || label === undefined) return leave(signal, number);
    process.stderr.write(`\nhypersdk: ${cancelling}\n`);
    abort.abort();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", leave).on("SIGHUP", leave);
  const isShown = label !== undefined && process.stderr.isTTY && !quiet;
  const { progress, done } = isShown ? show(label) : { progress: unwatched, done: () => {} };
  try {
    return await work(abort.signal, progress);
  } finally {
    done();
    process.off("SIGINT", interrupt).off("SIGTERM", leave).off("SIGHUP", leave);
  }
}

/** The bar appears after a second on a terminal. Returns what is told of the call, and what removes the bar. */
function show(label: string) {
  const { stderr } = process;
  const started = performance.now();
  let bar: Bar = { label, samples: [] };
  let shown = false;
  const draw = () => {
    const line = renderBar(bar, performance.now(), started, stderr.columns || 80);
    stderr.write(`\r\x1b[K${line}`);
    shown = true;
  };
  const timer = setInterval(draw, 1000);
  const progress: Progress = (update) => {
    bar = advance(bar, update, performance.now());
  };
  const done = () => {
    clearInterval(timer);
    if (shown) stderr.write("\r\x1b[K");
  };
  return { progress, done };
}
