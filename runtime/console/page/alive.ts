/** Whether the server can still be reached: a WebSocket in a network that is gone says nothing, and nothing tells so. */

const LOOK_MS = 10_000;
export const ANSWER_MS = 10_000;
const REPLY_MS = 5000;

/** A console's WebSocket, by which its other end can be asked to say something. */
export interface Line {
  ask(): void;
  /** As `performance.now()` tells. */
  heardAt: number;
}

export function lineOf(socket: WebSocket, ask: () => void): Line {
  const line = { ask, heardAt: 0 };
  socket.addEventListener("message", () => {
    line.heardAt = performance.now();
  });
  return line;
}

/**
 * Calls `lost` once the server answers neither a request nor by the console's WebSocket, unless the returned function
 * was called before. A request alone proves nothing: it may wait for one of the browser's connections. The WebSocket is
 * asked only then, since what passes there keeps a console open that nobody uses.
 */
export function whileReached(
  headers: () => Record<string, string>,
  line: () => Line | undefined,
  lost: () => void,
): () => void {
  let isOver = false;
  let isLooking = false;
  const look = async () => {
    if (isLooking) return;
    isLooking = true;
    const began = performance.now();
    const isReached = (await answers(headers())) || (await replies(line(), began));
    isLooking = false;
    if (!isReached && !isOver) lost();
  };
  const timer = setInterval(look, LOOK_MS);
  addEventListener("offline", look);
  return () => {
    isOver = true;
    clearInterval(timer);
    removeEventListener("offline", look);
  };
}

async function answers(headers: Record<string, string>): Promise<boolean> {
  const signal = AbortSignal.timeout(ANSWER_MS);
  try {
    await fetch(new URL("../health", location.href), { headers, signal }); // any answer is one
    return true;
  } catch {
    return false;
  }
}

/** Whether something has come since then, or comes now that it is asked. */
async function replies(line: Line | undefined, since: number): Promise<boolean> {
  if (!line) return false;
  line.ask();
  await new Promise((resolve) => setTimeout(resolve, REPLY_MS));
  return line.heardAt > since;
}
