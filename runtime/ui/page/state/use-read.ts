/** What a view reads from the server, and reads again when it is told to. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { messageOf } from "./client.ts";

export interface Read<T> {
  data: T | undefined;
  error: string | undefined;
  reload: () => void;
}

/**
 * `by`: reads again when one of these changes. What was read before stays until then. `lookMs`: reads again that many
 * milliseconds after each read has ended, however long it took, while somebody sees the page.
 */
export function useRead<T>(
  read: (signal: AbortSignal) => Promise<T>,
  by: unknown[],
  lookMs?: number,
): Read<T> {
  const [state, setState] = useState<{ data?: T; error?: string }>({});
  const [count, setCount] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  const reload = useCallback(() => setCount((before) => before + 1), []);
  useEffect(() => {
    const end = new AbortController();
    let timer: ReturnType<typeof setInterval> | undefined;
    const settle = (next: typeof state | ((before: typeof state) => typeof state)) => {
      if (end.signal.aborted) return;
      setState(next);
      if (lookMs !== undefined) timer = setInterval(() => document.hidden || reload(), lookMs);
    };
    latest.current(end.signal).then(
      (data) => settle({ data }),
      (error) =>
        settle(({ data }) => ({ ...(data !== undefined && { data }), error: messageOf(error) })),
    );
    return () => {
      end.abort();
      clearInterval(timer);
    };
  }, [...by, count]);
  return { data: state.data, error: state.error, reload };
}
