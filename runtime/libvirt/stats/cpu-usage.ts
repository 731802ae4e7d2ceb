/** CPU usage between two samples. A call takes one sample, and compares it with one that an earlier call left here. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../../hypervisor/context.ts";
import { domstats, type Stats, type StatsTarget } from "./domstats.ts";

interface Sample {
  /** In milliseconds of performance.now(). */
  at: number;
  /** CPU time of all vCPUs and of QEMU itself, since the domain started. */
  cpuTimeNs: number;
}

/** Samples that are closer say little. */
const MIN_INTERVAL_MS = 250;
/** Older samples say nothing about the present usage. */
const MAX_SAMPLE_AGE_MS = 30_000;
const KEPT_INTERVAL_MS = 1000;

/** By hypervisor, domain and its ID, which changes with a restart; oldest first. */
const samples = new Map<string, Sample[]>();

/** Share of all vCPUs in percent, by name. Takes a second sample where no earlier one is kept. */
export async function cpuUsage(ctx: Context, targets: StatsTarget[], answers: Map<string, Stats>) {
  const usage = new Map<string, number>();
  /** Returns the targets without an earlier sample. */
  const measure = (stats: Map<string, Stats>) =>
    targets.filter(({ name, id }) => {
      const now = sampleOf(stats.get(name));
      const vcpus = Number(answers.get(name)?.fields["vcpu.current"]);
      if (!now || !vcpus) return false;
      const before = remember(`${ctx.host}/${name}/${id}`, now);
      if (!before) return true;
      const busy = (now.cpuTimeNs - before.cpuTimeNs) / 1e6 / (now.at - before.at) / vcpus;
      usage.set(name, Math.min(100, Math.max(0, Math.round(busy * 10_000) / 100)));
      return false;
    });
  const first = measure(answers);
  if (first.length > 0) {
    await sleep(MIN_INTERVAL_MS);
    measure(await domstats(ctx, first, ["--cpu-total"]));
  }
  forget();
  return usage;
}

/** Undefined for a domain that is off, or whose QEMU does not answer. */
function sampleOf(stats: Stats | undefined): Sample | undefined {
  if (!stats || stats.stuck || stats.fields["cpu.time"] === undefined) return undefined;
  const running = stats.fields["state.state"] !== "5" && stats.fields["state.state"] !== "6";
  return running ? { at: stats.at, cpuTimeNs: Number(stats.fields["cpu.time"]) } : undefined;
}

/** Keeps a sample, and returns the latest earlier one that is far enough away. */
function remember(key: string, now: Sample): Sample | undefined {
  const kept = (samples.get(key) ?? []).filter(
    ({ at, cpuTimeNs }) => now.at - at < MAX_SAMPLE_AGE_MS && cpuTimeNs <= now.cpuTimeNs,
  );
  const before = kept.findLast(({ at }) => now.at - at >= MIN_INTERVAL_MS);
  const last = kept.at(-1);
  if (!last || now.at - last.at >= KEPT_INTERVAL_MS) kept.push(now);
  samples.set(key, kept.slice(-3));
  return before;
}

/** Drops the samples of domains that are not asked about any more. */
function forget() {
  if (samples.size < 5000) return;
  for (const [key, kept] of samples) {
    if (performance.now() - (kept.at(-1)?.at ?? 0) > MAX_SAMPLE_AGE_MS) samples.delete(key);
  }
}
