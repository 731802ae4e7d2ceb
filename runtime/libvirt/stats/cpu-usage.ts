/** CPU use between two samples. A call takes one, and compares it with what an earlier call left here. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Context } from "../../hypervisor/context.ts";
import { domstats, type Stats, type Target } from "./domstats.ts";

interface Sample {
  /** Milliseconds, of a clock that never goes back. */
  at: number;
  /** Nanoseconds of all vCPUs and of QEMU itself, since the domain started. */
  time: number;
}

/** Milliseconds. Closer samples say little, older ones nothing about now. */
const CLOSEST = 250;
const OLDEST = 30_000;
const KEPT_APART = 1000;

/** By hypervisor, domain and its ID, which is another one after a restart; oldest first. */
const samples = new Map<string, Sample[]>();

/** Share of all vCPUs in percent, by name; takes a second sample where there is no earlier one to compare. */
export async function cpuUsage(ctx: Context, targets: Target[], answers: Map<string, Stats>) {
  const usage = new Map<string, number>();
  /** Those for which there was no earlier sample. */
  const measure = (found: Map<string, Stats>) =>
    targets.filter(({ name, id }) => {
      const now = sampleOf(found.get(name));
      const vcpus = Number(answers.get(name)?.fields["vcpu.current"]);
      if (!now || !vcpus) return false;
      const before = compare(`${ctx.host}/${name}/${id}`, now);
      if (!before) return true;
      const busy = (now.time - before.time) / 1e6 / (now.at - before.at) / vcpus;
      usage.set(name, Math.min(100, Math.max(0, Math.round(busy * 10_000) / 100)));
      return false;
    });
  const first = measure(answers);
  if (first.length > 0) {
    await sleep(CLOSEST);
    measure(await domstats(ctx, first, ["--cpu-total"]));
  }
  forget();
  return usage;
}

/** A domain that is off, or whose QEMU does not answer, has none. */
function sampleOf(stats: Stats | undefined): Sample | undefined {
  if (!stats || stats.stuck || stats.fields["cpu.time"] === undefined) return undefined;
  const running = stats.fields["state.state"] !== "5" && stats.fields["state.state"] !== "6";
  return running ? { at: stats.at, time: Number(stats.fields["cpu.time"]) } : undefined;
}

/** Remember a sample, and give the latest earlier one that is far enough away. */
function compare(key: string, now: Sample): Sample | undefined {
  const known = (samples.get(key) ?? []).filter(
    ({ at, time }) => now.at - at < OLDEST && time <= now.time,
  );
  const before = known.findLast(({ at }) => now.at - at >= CLOSEST);
  const last = known.at(-1);
  if (!last || now.at - last.at >= KEPT_APART) known.push(now);
  samples.set(key, known.slice(-3));
  return before;
}

/** Domains that nobody asks about any more. */
function forget() {
  if (samples.size < 5000) return;
  for (const [key, known] of samples) {
    if (performance.now() - (known.at(-1)?.at ?? 0) > OLDEST) samples.delete(key);
  }
}
