/** Numbers and times for people. What is not known is a dash. */

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
export const UNKNOWN = "–";

export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  const power = value < 1 ? 0 : Math.min(UNITS.length - 1, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${scaled >= 100 || power === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${UNITS[power]}`;
}

export const rate = (value: number | null | undefined) =>
  value === null || value === undefined ? UNKNOWN : `${bytes(value)}/s`;

export const percent = (value: number | null | undefined) =>
  value === null || value === undefined
    ? UNKNOWN
    : `${value < 10 && value > 0 ? value.toFixed(1) : Math.round(value)} %`;

const time = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
export const when = (text: string | null | undefined) =>
  text ? time.format(new Date(text)) : UNKNOWN;

export function seconds(value: number | null | undefined): string {
  if (value === null || value === undefined) return UNKNOWN;
  if (value < 60) return `${Math.ceil(value)} s`;
  return value < 3600 ? `${Math.round(value / 60)} min` : `${(value / 3600).toFixed(1)} h`;
}

export const plural = (count: number, word: string) => `${count} ${word}${count === 1 ? "" : "s"}`;
