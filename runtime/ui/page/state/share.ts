/**
 * A browser has six connections to a server (HTTP/1.1), for all of its windows together. So a stream that several
 * windows follow is held by one of them, which tells the others.
 */

type Hold<W> = (signal: AbortSignal, tell: (word: W) => void) => Promise<void>;
type Message<W> = { from: string; word?: W };

/** Longer than it takes a window to be told that another has stolen its lock. */
const SETTLE_MS = 100;

/**
 * Has one of the windows hold the stream of this name, and tells each of them what the holder tells, until the signal.
 * `hold` ends with its signal alone. The newest window takes over, since only the begin of a stream tells the whole
 * state. A window that may have no locks holds its own: without TLS, where the server is another machine, and where the
 * browser blocks the data of sites.
 */
export async function share<W>(
  name: string,
  signal: AbortSignal,
  hold: Hold<W>,
  hear: (word: W) => void,
) {
  if (!navigator.locks) return hold(signal, hear);
  try {
    await shareByLock(name, signal, hold, hear);
  } catch {
    if (!signal.aborted) await hold(signal, hear);
  }
}

/**
 * The lock alone decides who holds the stream. Several windows may steal it at once, and what they announce need not
 * come in the order of the locks, so the others may listen to one that has lost it. The holder hears that, too: it
 * begins its stream again, and says so, which gives all of them the whole state.
 */
async function shareByLock<W>(
  name: string,
  signal: AbortSignal,
  hold: Hold<W>,
  hear: (word: W) => void,
) {
  const me: string = crypto.randomUUID();
  let holder = me;
  let contest = () => {};
  const channel = new BroadcastChannel(name);
  const send = (message: Message<W>) => channel.postMessage(message);
  channel.addEventListener("message", ({ data: { from, word } }: MessageEvent<Message<W>>) => {
    if (word === undefined) {
      holder = from;
      contest();
    } else if (from === holder) hear(word); // a holder of before may tell what is older than what is known
  });
  signal.addEventListener("abort", () => channel.close());

  /** Holds the stream until the signal, or until another window has said that it holds it. */
  const holdUncontested = async (mine: AbortSignal) => {
    const contested = new AbortController();
    const either = AbortSignal.any([mine, contested.signal]);
    let timer: ReturnType<typeof setTimeout> | undefined;
    contest = () => {
      timer ??= setTimeout(() => contested.abort(), SETTLE_MS);
    };
    holder = me;
    send({ from: me });
    await hold(either, (word) => {
      if (either.aborted) return;
      send({ from: me, word });
      hear(word);
    });
    clearTimeout(timer);
  };
  const holdOnce = async (options: LockOptions) => {
    const over = new AbortController();
    const mine = AbortSignal.any([signal, over.signal]);
    try {
      await navigator.locks.request(name, options, async () => {
        while (!mine.aborted) await holdUncontested(mine);
      });
    } catch (error) {
      if ((error as Error).name !== "AbortError") throw error;
    } finally {
      over.abort(); // another window has taken over
    }
  };
  try {
    await holdOnce({ steal: true });
    while (!signal.aborted) await holdOnce({ signal });
  } finally {
    channel.close();
  }
}
