/** The line of a running call: what it does, a bar, how fast it goes and how long it still takes. */
import { estimate, recent, type Sample } from "../core/eta.ts";
import type { ProgressUpdate } from "../core/progress.ts";

export interface Bar {
  label: string;
  update?: ProgressUpdate;
  /** Of the bytes where they are told, else of the percent. */
  samples: Sample[];
}

const BAR_WIDTH = 20;

/** The bar after an update. Samples of another kind, bytes after percents, begin anew. */
export function advance(bar: Bar, update: ProgressUpdate, at: number): Bar {
  const isSame = unitOf(bar.update) === unitOf(update);
  const done = update.bytes ?? update.percent ?? undefined;
  const before = isSame ? recent(bar.samples, at) : [];
  const samples = done === undefined ? before : [...before, { at, done }];
  return { ...bar, update, samples };
}

const unitOf = (update: ProgressUpdate | undefined) =>
  update?.bytes === undefined ? "percent" : "bytes";

/** One line for a terminal of this width. */
export function renderBar(bar: Bar, now: number, started: number, width: number): string {
  const { label, update, samples } = bar;
  const elapsed = duration((now - started) / 1000);
  if (!update) return `${label}: ${elapsed}`.slice(0, width - 1);
  const { phase, percent, bytes, total } = update;
  const isKnown = typeof percent === "number";
  const whole = bytes === undefined ? 100 : (total ?? 0);
  const { rate, secondsLeft } = estimate(samples, whole, now);
  const parts = [
    isKnown ? `${barOf(percent)} ${Math.floor(percent)} %` : "",
    bytes === undefined ? "" : `${size(bytes)}${total ? ` of ${size(total)}` : ""}`,
    bytes !== undefined && rate ? `${size(rate)}/s` : "",
    isKnown && secondsLeft !== null ? `${duration(secondsLeft)} left` : elapsed,
    phase,
  ];
  const line = `${label}: ${parts.filter(Boolean).join("  ")}`;
  // a phase may name what others have named
  return line.replace(/[\p{Cc}\p{Cf}]/gu, "?").slice(0, width - 1);
}

function barOf(percent: number): string {
  const filled = Math.floor((percent / 100) * BAR_WIDTH);
  return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`;
}

/** For people: 45 s, 3 min 5 s, 2 h 10 min. */
export function duration(seconds: number): string {
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(bytes || 1) / 10)));
  const value = bytes / 1024 ** power;
  return `${value < 10 && power > 0 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}
