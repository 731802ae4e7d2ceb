/** Measuring contenders against each other: interleaved rounds, medians and p99, memory, a table. */
import { readdirSync, readFileSync } from "node:fs";

export interface Contender {
  name: string;
  /** One call; `caller` is the number of the concurrent caller that makes it. */
  call(caller: number): Promise<unknown>;
  /** Calls of each caller in a round: fewer of what is slow. */
  calls: number;
  /** Calls of each caller before the first round, so that code that is called often is compiled. @default calls */
  warm?: number;
  /** Done before its calls in each round, and not measured. */
  before?(): Promise<unknown>;
}

export interface Figures {
  contender: string;
  calls: number;
  median_ms: number;
  p99_ms: number;
  calls_per_second: number;
}

/** Rounds alternate between the contenders, and each round begins with another, so that noise hits all alike. */
export async function compare(
  contenders: Contender[],
  { callers, rounds }: { callers: number; rounds: number },
): Promise<Figures[]> {
  const taken = contenders.map(() => [] as number[]);
  const elapsed = contenders.map(() => 0);
  const all = Array.from({ length: callers }, (_, caller) => caller);
  // the first calls open sessions and connections, and have code compiled
  for (const { call, calls, warm = calls } of contenders) {
    for (let n = 0; n < warm; n++) await Promise.all(all.map(call));
  }
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < contenders.length; turn++) {
      const i = (round + turn) % contenders.length;
      const { call, calls, before } = contenders[i] as Contender;
      await before?.();
      const began = performance.now();
      await Promise.all(
        all.map(async (caller) => {
          for (let n = 0; n < calls; n++) {
            const started = performance.now();
            await call(caller);
            taken[i]?.push(performance.now() - started);
          }
        }),
      );
      elapsed[i] = (elapsed[i] ?? 0) + performance.now() - began;
    }
  }
  return contenders.map(({ name }, i) => {
    const sorted = (taken[i] ?? []).sort((a, b) => a - b);
    return {
      contender: name,
      calls: sorted.length,
      median_ms: quantile(sorted, 0.5),
      p99_ms: quantile(sorted, 0.99),
      calls_per_second: sorted.length / ((elapsed[i] ?? 0) / 1000),
    };
  });
}

/** The nearest rank: of fewer than 100 values the p99 is the largest. */
export function quantile(sorted: number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? Number.NaN;
}

/** Of a process and all it has started, in MB. RSS counts what they share in each of them, PSS once. */
export function memory(pid: number): { processes: number; pss_mb: number; rss_mb: number } {
  const tree = [pid];
  const parents = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  for (const parent of tree) {
    for (const name of parents) if (parentOf(name) === parent) tree.push(Number(name));
  }
  const sum = (field: string) => {
    const kilobytes = tree.map((one) => {
      const rollup = read(`/proc/${one}/smaps_rollup`);
      return Number(rollup?.match(new RegExp(`^${field}: +(\\d+) kB`, "m"))?.[1] ?? 0);
    });
    return kilobytes.reduce((total, one) => total + one, 0) / 1024;
  };
  return { processes: tree.length, pss_mb: sum("Pss"), rss_mb: sum("Rss") };
}

const parentOf = (pid: string) =>
  Number(read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ")[1]);

/** Undefined when the process has ended meanwhile. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** A record a line, its keys as the head; text to the left, numbers to the right. */
export function table(records: object[]): string {
  const rows = records.map((record) => Object.values(record) as (string | number)[]);
  const head = Object.keys(records[0] ?? {});
  const cells = [head, ...rows.map((row) => row.map(cell))];
  const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)));
  const lines = cells.map((row) =>
    row.map((text, i) => {
      const width = widths[i] ?? 0;
      return typeof rows[0]?.[i] === "number" ? text.padStart(width) : text.padEnd(width);
    }),
  );
  lines.splice(
    1,
    0,
    widths.map((width) => "-".repeat(width)),
  );
  return lines.map((line) => line.join("  ").trimEnd()).join("\n");
}

function cell(value: string | number): string {
  if (typeof value === "string" || Number.isInteger(value)) return `${value}`;
  return value.toFixed(value < 100 ? 2 : 0);
}

export interface Target {
  target: string;
  value: number;
  met: boolean;
}

/** All of it as JSON, or as tables and a line for each target. */
export function report(
  {
    results,
    ratios,
    targets,
    ...rest
  }: Record<string, unknown> & {
    results: object[];
    ratios: object[];
    targets: Target[];
  },
  asJson = process.argv.includes("--json"),
) {
  if (asJson) {
    console.log(JSON.stringify({ ...rest, results, ratios, targets }, undefined, 2));
    return;
  }
  for (const [key, value] of Object.entries(rest)) console.log(`${key}: ${JSON.stringify(value)}`);
  console.log(`\n${table(results)}\n\n${table(ratios)}\n`);
  for (const { target, value, met } of targets) {
    console.log(`${met ? "met" : "NOT MET"}: ${target}: ${cell(value)}`);
  }
}
