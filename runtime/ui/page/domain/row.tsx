/** One domain in the table. It is drawn anew when that domain changes, and no other. */
import { memo } from "preact/compat";
import { useEffect } from "preact/hooks";
import { Sparkline } from "../parts/sparkline.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { domainOf } from "../state/fleet.ts";
import { bytes, percent, rate } from "../state/format.ts";
import { historyOf, wantHistory } from "../state/history.ts";
import { href } from "../state/route.ts";
import { who } from "../state/who.ts";
import { QuickAction } from "./quick-action.tsx";

interface Props {
  id: string;
  index: number;
}

export const DomainRow = memo(({ id, index }: Props) => {
  const domain = domainOf(id)?.value;
  const isMeasured = domain !== undefined && domain.cpu_percent !== null;
  const [host, name] = [domain?.host ?? "", domain?.name ?? ""];
  useEffect(() => {
    if (isMeasured) wantHistory(id, host, name);
  }, [isMeasured, id, host, name]);
  if (!domain) return null;
  const { state, cpu_percent, memory_kb, memory_percent, disk_read, disk_write, net_rx, net_tx } =
    domain;
  const isOff = state === "shut off" || state === "crashed";
  const memory = memory_kb === null ? null : bytes(memory_kb * 1024);
  return (
    <tr aria-rowindex={index} data-domain={id}>
      <th scope="row" class="col-name" title={name}>
        <a href={href("domain", host, name)}>{name}</a>
        {(who.value?.hosts.length ?? 0) > 1 && <span class="host">{host}</span>}
      </th>
      <td class="col-state">
        <StateBadge state={state} />
      </td>
      <td class="col-cpu">
        {!isOff && (
          <div class="with-plot">
            <span>{percent(cpu_percent)}</span>
            <Sparkline values={historyOf(id)} />
          </div>
        )}
      </td>
      <td class="col-memory">
        {!isOff && (memory_percent === null ? memory : `${percent(memory_percent)} of ${memory}`)}
      </td>
      <td class="col-disk">{!isOff && `${rate(disk_read)} / ${rate(disk_write)}`}</td>
      <td class="col-net">{!isOff && `${rate(net_rx)} / ${rate(net_tx)}`}</td>
      <td class="col-actions">
        <QuickAction domain={domain} />
      </td>
    </tr>
  );
});
