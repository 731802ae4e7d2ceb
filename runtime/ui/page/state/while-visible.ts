/** Work that goes on while somebody sees the page: a hidden one costs the server nothing. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 10_000;

/** Begins `work` when the page is seen, and again whenever it ends or fails. The returned function ends it. */
export function whileVisible(work: (signal: AbortSignal, works: () => void) => Promise<void>) {
  let end: AbortController | undefined;
  let timer = 0;
  let pause = FIRST_PAUSE_MS;
  const begin = () => {
    if (end || document.hidden) return;
    const mine = new AbortController();
    end = mine;
    const works = () => {
      pause = FIRST_PAUSE_MS;
    };
    work(mine.signal, works)
      .catch(() => {})
      .then(() => {
        if (end !== mine) return;
        end = undefined;
        timer = window.setTimeout(begin, pause);
        pause = Math.min(LONGEST_PAUSE_MS, 2 * pause);
      });
  };
  const stop = () => {
    clearTimeout(timer);
    end?.abort();
    end = undefined;
  };
  const change = () => (document.hidden ? stop() : begin());
  document.addEventListener("visibilitychange", change);
  begin();
  return () => {
    document.removeEventListener("visibilitychange", change);
    stop();
  };
}
