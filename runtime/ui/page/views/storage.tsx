/** The storage pools of a hypervisor, and the volumes of one of them. */
import { useEffect, useState } from "preact/hooks";
import { HostPicker, hostOf } from "../parts/host-picker.tsx";
import { Meter } from "../parts/meter.tsx";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { call, type Told } from "../state/client.ts";
import { bytes, percent, plural } from "../state/format.ts";
import { href } from "../state/route.ts";
import { useWatch } from "../state/use-watch.ts";
import { Volumes } from "./volumes.tsx";

type Storage = Told<"GET /libvirt/pool/watch">;
type Pool = NonNullable<Storage["pools"]>[number];

/** What is null is as it was. */
const join = (before: Storage | undefined, told: Storage): Storage => ({
  ...told,
  pools: told.pools ?? before?.pools ?? null,
  volumes: told.volumes ?? before?.volumes ?? null,
});

export function StorageView({ parts }: { parts: string[] }) {
  const host = hostOf(parts);
  const [, chosen] = parts;
  const [first, setFirst] = useState<string>();
  const shown = chosen ?? first;
  const storage = useWatch<Storage>(
    "GET /libvirt/pool/watch",
    (signal) => call("GET /libvirt/pool/watch", { pool: shown }, { host, signal }),
    [host, shown],
    join,
  );
  const { pools = null, volumes = null, volumes_error = null } = storage.data ?? {};
  useEffect(() => setFirst((one) => one ?? pools?.find(({ active }) => active)?.name), [pools]);
  return (
    <>
      <ViewHead title="Storage" note={pools && plural(pools.length, "pool")}>
        <HostPicker view="storage" host={host} />
      </ViewHead>
      <Reading
        of={{ ...storage, data: pools ?? undefined }}
        empty={({ length }) => (length === 0 ? "There is no pool." : undefined)}
      >
        {(all) => (
          <ul class="cards">
            {all.map((pool) => (
              <PoolCard key={pool.name} host={host} pool={pool} isShown={pool.name === shown} />
            ))}
          </ul>
        )}
      </Reading>
      {shown !== undefined && (
        <Volumes
          key={shown}
          host={host}
          pool={shown}
          volumes={{
            data: volumes ?? undefined,
            error: volumes_error ?? undefined,
            reload: storage.reload,
          }}
        />
      )}
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
