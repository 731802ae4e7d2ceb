/** Goes on with a value at once, and with a promised one when it is there: a call that need not wait does not. */
export function atOnce<T, R>(
  value: T | Promise<T>,
  next: (value: T) => R,
): R | Promise<Awaited<R>> {
  return value instanceof Promise ? (value.then(next) as Promise<Awaited<R>>) : next(value);
}
