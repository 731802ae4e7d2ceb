/** What the server tells a view as it changes. */
import { useCallback, useEffect, useState } from "preact/hooks";
import { RemoteError } from "../../../client/client.ts";
import { follow } from "./follow.ts";
import type { Read } from "./use-read.ts";

interface Told<T> {
  data?: T;
  error?: string | null | undefined;
}

/**
 * `by`: another stream is opened when one of these changes; what was told before stays until then. `join`: what is shown,
 * where an event tells only what is another than before.
 */
export function useWatch<T extends object>(
  open: Parameters<typeof follow<T>>[0],
  by: unknown[],
  join: (before: T | undefined, told: T) => T = (_before, told) => told,
): Read<T> {
  const [state, setState] = useState<Told<T>>({});
  const [count, setCount] = useState(0);
  useEffect(
    () =>
      follow(
        open,
        (told) => setState(({ data }) => ({ error: null, ...told, data: join(data, told) })),
        (error) => {
          // that the server cannot be reached is said above every view
          if (error instanceof RemoteError) setState((now) => ({ ...now, error: error.message }));
        },
      ),
    [...by, count],
  );
  const reload = useCallback(() => setCount((before) => before + 1), []);
  return { data: state.data, error: state.error ?? undefined, reload };
}
