/** The last hour of each domain's CPU, for the small plots of the list: one value a minute. Only what is seen is asked for. */
import { call } from "./client.ts";

const MINUTES = 60;

const histories = new Map<string, { minute: number; values: (number | null)[] }>();
const wanted = new Map<string, { host: string; name: string }>();
const asked = new Set<string>();
let timer = 0;
const AT_ONCE = 50;

const minuteNow = () => Math.floor(Date.now() / 60_000);
const empty = () => ({ minute: minuteNow(), values: Array<number | null>(MINUTES).fill(null) });

/** Moves the values so that the last one is this minute's. */
function current(key: string) {
  const history = histories.get(key) ?? empty();
  histories.set(key, history);
  const passed = Math.min(MINUTES, minuteNow() - history.minute);
  if (passed > 0) {
    history.values = [...history.values.slice(passed), ...Array<null>(passed).fill(null)];
    history.minute = minuteNow();
  }
  return history;
}

export function addToHistory(key: string, value: number) {
  const { values } = current(key);
  values[MINUTES - 1] = value;
}

export const historyOf = (key: string) => current(key).values;

export function forgetHistory(key: string) {
  histories.delete(key);
  asked.delete(key);
}

/** Has the history of a domain that is seen read soon, together with others'. */
export function wantHistory(key: string, host: string, name: string) {
  if (asked.has(key)) return;
  asked.add(key);
  wanted.set(key, { host, name });
  if (timer === 0) timer = window.setTimeout(() => void load(), 100);
}

async function load() {
  timer = 0;
  const all = [...wanted.values()];
  wanted.clear();
  for (const [host, some] of Map.groupBy(all, ({ host }) => host)) {
    for (let at = 0; at < some.length; at += AT_ONCE) {
      const name = some.slice(at, at + AT_ONCE).map(({ name }) => name);
      const input = { name, metric: ["cpu_percent" as const] };
      const answer = await call("GET /libvirt/domains/history", input, { host }).catch(() => null);
      for (const domain of answer?.domains ?? [])
        merge(`${host}/${domain.name}`, domain.cpu_percent ?? [], answer?.step_seconds ?? 10);
    }
  }
}

/** The greatest value of each minute; what was heard since stays. */
function merge(key: string, steps: (number | null)[], stepSeconds: number) {
  const { values } = current(key);
  const each = 60 / stepSeconds;
  for (let minute = 0; minute < MINUTES; minute++) {
    const from = steps.length - (MINUTES - minute) * each;
    const some = steps.slice(Math.max(0, from), Math.max(0, from + each));
    const known = some.filter((value) => value !== null);
    if (known.length > 0) values[minute] ??= Math.max(...known);
  }
}
