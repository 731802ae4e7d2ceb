/** What a view reads from the server, and reads again when it is told to. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { messageOf } from "./client.ts";

export interface Read<T> {
  data: T | undefined;
  error: string | undefined;
  reload: () => void;
}

/** `by`: reads again when one of these changes. What was read before stays until then. */
export function useRead<T>(read: (signal: AbortSignal) => Promise<T>, by: unknown[]): Read<T> {
  const [state, setState] = useState<{ data?: T; error?: string }>({});
  const [count, setCount] = useState(0);
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => {
    const end = new AbortController();
    latest.current(end.signal).then(
      (data) => !end.signal.aborted && setState({ data }),
      (error) =>
        !end.signal.aborted &&
        setState(({ data }) => ({ ...(data !== undefined && { data }), error: messageOf(error) })),
    );
    return () => end.abort();
  }, [...by, count]);
  const reload = useCallback(() => setCount((before) => before + 1), []);
  return { data: state.data, error: state.error, reload };
}
