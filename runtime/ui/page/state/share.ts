/**
 * A browser has six connections to a server (HTTP/1.1), for all of its windows together. So a stream that several
 * windows follow is held by one of them, which tells the others.
 */
import { BASE } from "./client.ts";

type Hold<W> = (signal: AbortSignal, tell: (word: W) => void) => Promise<void>;
type Message<W> = { from: string; word?: W };

/**
 * Has one of the windows hold the stream of this name, and tells each of them what the holder tells, until the signal.
 * `hold` ends with its signal alone. The newest window takes over, since only the begin of a stream tells the whole
 * state. A page without TLS that is not on this machine has no locks: each of its windows holds its own.
 */
export async function share<W>(
  name: string,
  signal: AbortSignal,
  hold: Hold<W>,
  hear: (word: W) => void,
) {
  if (!navigator.locks) return hold(signal, hear);
  const key = `${BASE} ${name}`;
  const me: string = crypto.randomUUID();
  let holder = me;
  const channel = new BroadcastChannel(key);
  channel.addEventListener("message", ({ data: { from, word } }: MessageEvent<Message<W>>) => {
    if (word === undefined) holder = from;
    else if (from === holder) hear(word); // the last words of a holder before are older than what is known
  });
  signal.addEventListener("abort", () => channel.close());

  const holdOnce = async (options: LockOptions) => {
    const over = new AbortController();
    const mine = AbortSignal.any([signal, over.signal]);
    const send = (message: Message<W>) => channel.postMessage(message);
    const tell = (word: W) => {
      if (mine.aborted || holder !== me) return;
      send({ from: me, word });
      hear(word);
    };
    const begin = async () => {
      if (signal.aborted) return;
      holder = me;
      send({ from: me });
      await hold(mine, tell);
    };
    try {
      await navigator.locks.request(key, options, begin);
    } catch (error) {
      if ((error as Error).name !== "AbortError") throw error;
    } finally {
      over.abort(); // another window has taken over
    }
  };
  await holdOnce({ steal: true });
  while (!signal.aborted) await holdOnce({ signal });
}
