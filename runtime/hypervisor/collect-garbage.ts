/**
 * Keeps the memory of a long stream small. Each piece leaves buffers behind it, over SSH several times its size, and the
 * collector, which counts little of them and has no core to itself on a busy machine, lets them become hundreds of MB.
 */

const LOOK_BYTES = 8 * 2 ** 20;
/** What a stream may have taken more than there was at its begin. */
const MORE_BYTES = 48 * 2 ** 20;

/** Returns what is to be told of each piece. */
export function garbageWatch(): (bytes: number) => void {
  const before = process.memoryUsage.rss();
  let since = 0;
  return (bytes) => {
    since += bytes;
    if (since < LOOK_BYTES) return;
    since = 0;
    if (process.memoryUsage.rss() > before + MORE_BYTES) Bun.gc(true); // 10 to 20 ms
  };
}
