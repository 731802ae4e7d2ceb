/** One timer for all streams: one of its own for each would wake an idle server for each of them. */
import { setImmediate as turn } from "node:timers/promises";

/** How often a client hears that the stream lives; proxies close a connection that is silent for a minute. */
const HEARTBEAT_MS = 15_000;
/** Streams that are told without a pause, so that a thousand of them hold up no call. */
const AT_ONCE = 100;

const streams = new Set<() => Promise<void>>();
let timer: NodeJS.Timeout | undefined;

/** Calls `beat` again and again until the function that is returned is called. `beat` does not reject. */
export function onHeartbeat(beat: () => Promise<void>): () => void {
  streams.add(beat);
  timer ??= setInterval(tellAll, HEARTBEAT_MS);
  return () => {
    streams.delete(beat);
    if (streams.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
}

async function tellAll() {
  let told = 0;
  for (const beat of streams) {
    void beat();
    if (++told % AT_ONCE === 0) await turn();
  }
}
