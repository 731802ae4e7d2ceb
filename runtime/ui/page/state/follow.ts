/** A stream of the server, followed while somebody sees the page: a hidden one costs the server nothing. */
import { RemoteError } from "../../../client/client.ts";
import { BASE } from "./client.ts";
import { nowLost } from "./lost.ts";
import { share } from "./share.ts";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The server answers at once that a stream begins; a network that is gone does not say so. */
const OPEN_MS = 10_000;

export interface Stream<T> {
  /** Tells it from other streams: windows that follow one of the same name share it. */
  name: string;
  open: (signal: AbortSignal) => Promise<AsyncIterable<{ data: T }>>;
}

/** `refusal`: what the server said against it; null where it cannot be reached. */
type Word<T> = { data: T } | { isOpen: true } | { refusal: string | null };

/** Opens the stream, and again whenever it ends, until the returned function is called. `failed` is told why it ended. */
export function follow<T>(
  { name, open }: Stream<T>,
  each: (data: T) => void,
  failed: (refusal: string | null) => void = () => {},
) {
  const key = {};
  let end: AbortController | undefined;

  const begin = () => {
    if (end || document.hidden) return;
    const mine = new AbortController();
    end = mine;
    const hear = (word: Word<T>) => {
      if (end !== mine) return;
      if ("data" in word) return each(word.data);
      const isLost = "refusal" in word && word.refusal === null;
      nowLost(key, isLost);
      if ("refusal" in word) failed(word.refusal);
    };
    const shared = `${BASE} ${name}`; // another server may have the same origin
    void share(shared, mine.signal, (signal, tell) => hold(open, signal, tell), hear);
  };
  const stop = () => {
    end?.abort();
    end = undefined;
  };
  const change = () => (document.hidden ? stop() : begin());
  /** The network has gone or come: a connection of before may be dead without a word. */
  const again = () => {
    stop();
    begin();
  };
  document.addEventListener("visibilitychange", change);
  for (const event of ["online", "offline"]) addEventListener(event, again);
  begin();
  return () => {
    document.removeEventListener("visibilitychange", change);
    for (const event of ["online", "offline"]) removeEventListener(event, again);
    stop();
    nowLost(key, false);
  };
}

/** Opens it, and again whenever it ends, until the signal. */
async function hold<T>(
  open: Stream<T>["open"],
  signal: AbortSignal,
  tell: (word: Word<T>) => void,
) {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const tooLate = new AbortController();
      const late = setTimeout(() => tooLate.abort(), OPEN_MS);
      const either = AbortSignal.any([signal, tooLate.signal]);
      const events = await open(either).finally(() => clearTimeout(late));
      tell({ isOpen: true });
      for await (const { data } of events) {
        pause = FIRST_PAUSE_MS;
        tell({ data });
      }
    } catch (error) {
      tell({ refusal: error instanceof RemoteError ? error.message : null });
    }
    await sleep(pause, signal);
    pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
  }
}

const sleep = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
