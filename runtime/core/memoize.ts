/** What a batch reads once for many domains, as it was at most so many milliseconds ago; a failed reading is forgotten. */
export function memoize<T>(read: () => Promise<T>, ms: number): () => Promise<T> {
  let last: { at: number; value: Promise<T> } | undefined;
  return () => {
    if (last && performance.now() - last.at <= ms) return last.value;
    const begun = { at: performance.now(), value: read() };
    last = begun;
    begun.value.catch(() => {
      if (last === begun) last = undefined;
    });
    return begun.value;
  };
}
