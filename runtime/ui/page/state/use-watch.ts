/** What the server tells a view as it changes. */
import { useCallback, useEffect, useState } from "preact/hooks";
import type { Endpoint } from "../../../client/client.ts";
import { follow, type Stream } from "./follow.ts";
import type { Read } from "./use-read.ts";

interface Told<T> {
  data?: T;
  error?: string | null | undefined;
}

/**
 * `endpoint` and `by` tell the stream from others. `by`: another stream is opened when one of these changes; what was told before stays until then. `join`: what is shown,
 * where an event tells only what is another than before.
 */
export function useWatch<T extends object>(
  endpoint: Endpoint,
  open: Stream<T>["open"],
  by: unknown[],
  join: (before: T | undefined, told: T) => T = (_before, told) => told,
): Read<T> {
  const [state, setState] = useState<Told<T>>({});
  const [count, setCount] = useState(0);
  useEffect(
    () =>
      follow(
        { name: `${endpoint} ${JSON.stringify(by)}`, open },
        (told) => setState(({ data }) => ({ error: null, ...told, data: join(data, told) })),
        (refusal) => {
          // that the server cannot be reached is said above every view
          if (refusal !== null) setState((now) => ({ ...now, error: refusal }));
        },
      ),
    [...by, count],
  );
  const reload = useCallback(() => setCount((before) => before + 1), []);
  return { data: state.data, error: state.error ?? undefined, reload };
}
