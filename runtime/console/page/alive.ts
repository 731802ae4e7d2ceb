/** Whether the server can still be reached: a WebSocket in a network that is gone says nothing, and nothing tells so. */

const LOOK_MS = 10_000;
export const ANSWER_MS = 10_000;

/** Calls `lost` once the server does not answer, unless the returned function was called before. */
export function whileReached(headers: () => Record<string, string>, lost: () => void): () => void {
  let isOver = false;
  const look = async () => {
    const signal = AbortSignal.timeout(ANSWER_MS);
    try {
      await fetch(new URL("../health", location.href), { headers: headers(), signal }); // any answer is one
    } catch {
      if (!isOver) lost();
    }
  };
  const timer = setInterval(look, LOOK_MS);
  addEventListener("offline", look);
  return () => {
    isOver = true;
    clearInterval(timer);
    removeEventListener("offline", look);
  };
}
