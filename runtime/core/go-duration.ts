/** Durations in words. */

/** As the Go original writes a duration: `340ms`, `1.2s`, `2m5s`, `1h0m3s`. */
export function goDuration(ms: number): string {
  if (ms < 999.5) return `${Math.round(ms)}ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${tenths / 10}s`;
  const seconds = Math.round(ms / 1000);
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return `${hours > 0 ? `${hours}h` : ""}${minutes}m${seconds % 60}s`;
}
