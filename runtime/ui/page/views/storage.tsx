/** The storage pools of a hypervisor, and the volumes of one of them. */
import type { Data } from "../../../client/client.ts";
import { HostPicker, hostOf } from "../parts/host-picker.tsx";
import { Meter } from "../parts/meter.tsx";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { useChanges } from "../state/changes.ts";
import { call } from "../state/client.ts";
import { bytes, percent, plural } from "../state/format.ts";
import { href } from "../state/route.ts";
import { useRead } from "../state/use-read.ts";
import { Volumes } from "./volumes.tsx";

type Pool = Data<"GET /libvirt/pools">["pools"][number];

export function StorageView({ parts }: { parts: string[] }) {
  const host = hostOf(parts);
  const [, chosen] = parts;
  const changes = useChanges("pool", host);
  const pools = useRead(
    (signal) => call("GET /libvirt/pools", {}, { host, signal }),
    [host, changes],
  );
  const shown = chosen ?? pools.data?.pools.find(({ active }) => active)?.name;
  return (
    <>
      <ViewHead title="Storage" note={pools.data && plural(pools.data.total, "pool")}>
        <HostPicker view="storage" host={host} />
      </ViewHead>
      <Reading of={pools} empty={({ total }) => (total === 0 ? "There is no pool." : undefined)}>
        {(data) => (
          <ul class="cards">
            {data.pools.map((pool) => (
              <PoolCard key={pool.name} host={host} pool={pool} isShown={pool.name === shown} />
            ))}
          </ul>
        )}
      </Reading>
      {shown !== undefined && <Volumes key={shown} host={host} pool={shown} changes={changes} />}
    </>
  );
}

function PoolCard({ host, pool, isShown }: { host: string; pool: Pool; isShown: boolean }) {
  const { name, type, path, active, capacity_bytes, allocation_bytes, available_bytes } = pool;
  const used = capacity_bytes ? (100 * (allocation_bytes ?? 0)) / capacity_bytes : 0;
  return (
    <li class={isShown ? "card chosen" : "card"}>
      <h2>
        <a href={href("storage", host, name)} aria-current={isShown ? "true" : undefined}>
          {name}
        </a>{" "}
        <StateBadge state={active ? "active" : "inactive"} />
      </h2>
      <p class="hint">
        {type} {path && <code>{path}</code>}
      </p>
      {active && (
        <>
          <Meter percent={used} label={`Space used in pool ${name}`} />
          <p class="hint">
            {percent(used)} of {bytes(capacity_bytes)} used, {bytes(available_bytes)} free
          </p>
        </>
      )}
    </li>
  );
}
