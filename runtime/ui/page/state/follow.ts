/** A stream of the server, followed while somebody sees the page: a hidden one costs the server nothing. */
import { RemoteError } from "../../../client/client.ts";
import { nowLost } from "./lost.ts";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;
/** The server answers at once that a stream begins; a network that is gone does not say so. */
const OPEN_MS = 10_000;

type Open<T> = (signal: AbortSignal) => Promise<AsyncIterable<{ data: T }>>;

/** Opens the stream, and again whenever it ends, until the returned function is called. `failed` is told why it ended. */
export function follow<T>(
  open: Open<T>,
  each: (data: T) => void,
  failed: (error: Error) => void = () => {},
) {
  const key = {};
  let end: AbortController | undefined;
  let timer = 0;
  let pause = FIRST_PAUSE_MS;

  const run = async (mine: AbortController) => {
    const late = setTimeout(() => mine.abort(), OPEN_MS);
    const events = await open(mine.signal).finally(() => clearTimeout(late));
    nowLost(key, false);
    for await (const { data } of events) {
      if (end !== mine) return;
      pause = FIRST_PAUSE_MS;
      each(data);
    }
  };
  const begin = () => {
    if (end || document.hidden) return;
    const mine = new AbortController();
    end = mine;
    run(mine)
      .catch((error: Error) => error)
      .then((error) => {
        if (end !== mine) return;
        end = undefined;
        timer = window.setTimeout(begin, pause);
        pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
        if (!error) return;
        nowLost(key, !(error instanceof RemoteError));
        failed(error);
      });
  };
  const stop = () => {
    clearTimeout(timer);
    end?.abort();
    end = undefined;
  };
  const change = () => (document.hidden ? stop() : begin());
  /** The network has gone or come: a connection of before may be dead without a word. */
  const again = () => {
    stop();
    pause = FIRST_PAUSE_MS;
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
