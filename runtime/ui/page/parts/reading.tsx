/** What stands in the place of a list that is being read, cannot be read, or has nothing. */
import type { ComponentChildren } from "preact";
import type { Read } from "../state/use-read.ts";

interface Props<T> {
  of: Read<T>;
  /** The text where there is nothing. */
  empty?: (data: T) => string | undefined;
  children: (data: T) => ComponentChildren;
}

export function Reading<T>({ of: { data, error, reload }, empty, children }: Props<T>) {
  const problem = error !== undefined && (
    <div class="problem" role="alert">
      <p>{error}</p>
      <button type="button" onClick={reload}>
        Try again
      </button>
    </div>
  );
  if (data === undefined) return problem || <p class="empty">Reading …</p>;
  const text = empty?.(data);
  return (
    <>
      {problem}
      {text === undefined ? children(data) : <p class="empty">{text}</p>}
    </>
  );
}
