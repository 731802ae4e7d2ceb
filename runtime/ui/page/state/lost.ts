/** Whether the server cannot be reached, so that what is shown may be old. */
import { computed, signal } from "@preact/signals";

const streams = signal<ReadonlySet<object>>(new Set());
export const isLost = computed(() => streams.value.size > 0);

/** Of one stream. */
export function nowLost(stream: object, lost: boolean) {
  if (streams.peek().has(stream) === lost) return;
  const others = [...streams.peek()].filter((one) => one !== stream);
  streams.value = new Set(lost ? [...others, stream] : others);
}
