/** Durations that people write: `90s`, `5m`, `1h30m`, `2d`. */
const SECONDS = { s: 1, m: 60, h: 3600, d: 86_400 };

/** In seconds; undefined for another text. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,9}[smhd])+$/.test(text)) return undefined;
  const parts = [...text.matchAll(/(\d+)([smhd])/g)];
  return parts.reduce((sum, [, n, unit]) => sum + Number(n) * SECONDS[unit as "s"], 0);
}
