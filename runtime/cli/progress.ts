/** Shows the time of a running call, and cancels it on Ctrl-C. */

/** Ctrl-C cancels the call, which then rolls back; a second one, or any other signal, ends the process at once. */
export async function watched<T>(
  label: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const abort = new AbortController();
  const leave = async (_signal: string, number: number) => {
    const { closeHypervisors } = await import("../hypervisor/registry.ts");
    await closeHypervisors();
    process.exit(128 + number);
  };
  const interrupt = (signal: string, number: number) => {
    if (abort.signal.aborted) return leave(signal, number);
    const text = "cancelling; steps that cannot be undone continue. Ctrl-C again exits now";
    process.stderr.write(`\nhypersdk: ${text}\n`);
    abort.abort();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", leave).on("SIGHUP", leave);
  const done = progress(label);
  try {
    return await work(abort.signal);
  } finally {
    done();
    process.off("SIGINT", interrupt).off("SIGTERM", leave).off("SIGHUP", leave);
  }
}

/** Shows the elapsed time on a terminal, from the first second on. Returns the function that removes it. */
function progress(label: string): () => void {
  const { stderr } = process;
  if (!stderr.isTTY) return () => {};
  const started = performance.now();
  let shown = false;
  const timer = setInterval(() => {
    const seconds = Math.floor((performance.now() - started) / 1000);
    const time =
      seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
    stderr.write(`\r\x1b[K${label}: ${time}`);
    shown = true;
  }, 1000);
  return () => {
    clearInterval(timer);
    if (shown) stderr.write("\r\x1b[K");
  };
}
