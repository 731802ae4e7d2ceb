/** Caches an async read for `ms`; a failed read is not cached. */
export function memoize<T>(read: () => Promise<T>, ms: number): () => Promise<T> {
  let last: { at: number; value: Promise<T> } | undefined;
  return () => {
    if (last && performance.now() - last.at <= ms) return last.value;
    const current = { at: performance.now(), value: read() };
    last = current;
    current.value.catch(() => {
      if (last === current) last = undefined;
    });
    return current.value;
  };
}

/** Keeps what is made of an object for as long as the object is in use. */
export function memoizePerObject<K extends object, T>(make: (object: K) => T): (object: K) => T {
  const made = new WeakMap<K, { value: T }>();
  return (object) => {
    const entry = made.get(object) ?? { value: make(object) };
    made.set(object, entry);
    return entry.value;
  };
}
