/** When a token ends: `90d`, `12h`, `30m`, a date, or never. */
import { HyperError } from "../core/errors.ts";

const UNITS: Record<string, number> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** RFC 3339; null for never. Throws `invalid_input`. */
export function readExpiry(text: string, now = Date.now()): string | null {
  if (text === "never") return null;
  const [, count, unit = ""] = /^(\d{1,6})([mhd])$/.exec(text) ?? [];
  const date = /^\d{4}-\d\d-\d\d(T[\d:.]+(Z|[+-]\d\d:\d\d))?$/.test(text);
  const at = count
    ? now + Number(count) * (UNITS[unit] ?? 0)
    : date
      ? Date.parse(text)
      : Number.NaN;
  if (at > now) return new Date(at).toISOString();
  const why = Number.isNaN(at)
    ? 'must be as 90d, 12h, 2027-01-31 or "never"'
    : "must be later than now";
  throw new HyperError("invalid_input", `expires: ${why}`);
}
