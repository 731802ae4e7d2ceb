/** What a domain does, as plots of the last hour that go on. */
import { Plot } from "../parts/plot.tsx";
import type { Domain } from "../state/fleet.ts";
import { bytes, percent, rate } from "../state/format.ts";
import { useHour } from "../state/hour.ts";

export function Plots({ domain }: { domain: Domain }) {
  const hour = useHour(domain);
  const { cpu_percent, memory_percent, memory_kb, disk_read, disk_write, net_rx, net_tx } = domain;
  const isOff = domain.state === "shut off" || domain.state === "crashed";
  if (isOff && hour.isEmpty) return null;
  const lines = (...names: [string, string?]) =>
    names.map((name, i) => ({ name: `${name}`, colour: `--plot-${i + 1}` }));
  const has = memory_kb === null ? "" : ` of ${bytes(memory_kb * 1024)}`;
  return (
    <section class="plots" aria-label="What it does">
      <Plot
        title={`CPU ${percent(cpu_percent)}`}
        summary={`now ${percent(cpu_percent)}`}
        lines={lines("share of its vCPUs")}
        data={hour.of("cpu_percent")}
        format={percent}
        max={100}
      />
      <Plot
        title={memory_percent === null ? `Memory${has}` : `Memory ${percent(memory_percent)}${has}`}
        summary={
          memory_percent === null ? "the guest does not tell" : `now ${percent(memory_percent)}`
        }
        lines={lines(memory_percent === null ? "the guest does not tell what it uses" : "used")}
        data={hour.of("memory_percent")}
        format={percent}
        max={100}
      />
      <Plot
        title="Disks"
        summary={`now reads ${rate(disk_read)}, writes ${rate(disk_write)}`}
        lines={lines(`read ${rate(disk_read)}`, `written ${rate(disk_write)}`)}
        data={hour.of("disk_read", "disk_write")}
        format={rate}
      />
      <Plot
        title="Network"
        summary={`now receives ${rate(net_rx)}, sends ${rate(net_tx)}`}
        lines={lines(`received ${rate(net_rx)}`, `sent ${rate(net_tx)}`)}
        data={hour.of("net_rx", "net_tx")}
        format={rate}
      />
    </section>
  );
}
