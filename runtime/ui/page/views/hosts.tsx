/** The hypervisors, and whether they can be reached. */
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { call, type Told } from "../state/client.ts";
import { plural } from "../state/format.ts";
import { href } from "../state/route.ts";
import { useWatch } from "../state/use-watch.ts";
import { can } from "../state/who.ts";

type Host = Told<"GET /hosts/watch">["hosts"][number];

export function HostsView() {
  const hosts = useWatch(
    "GET /hosts/watch",
    (signal) => call("GET /hosts/watch", {}, { signal }),
    [],
  );
  const up = hosts.data?.hosts.filter(({ state }) => state === "up").length;
  const note =
    hosts.data && `${up} of ${plural(hosts.data.hosts.length, "hypervisor")} can be reached`;
  return (
    <>
      <ViewHead title="Hypervisors" note={note} />
      <Reading of={hosts}>
        {(data) => (
          <ul class="cards">
            {data.hosts.map((host) => (
              <HostCard key={host.host} host={host} />
            ))}
          </ul>
        )}
      </Reading>
    </>
  );
}

function HostCard({
  host: { host, uri, state, libvirt, hypervisor, latency_ms, error },
}: {
  host: Host;
}) {
  return (
    <li class="card">
      <h2>
        {host} <StateBadge state={state} />
      </h2>
      <dl>
        <dt>URI</dt>
        <dd>
          <code>{uri}</code>
        </dd>
        <dt>Hypervisor</dt>
        <dd>{hypervisor ?? "unknown"}</dd>
        <dt>libvirt</dt>
        <dd>{libvirt ?? "unknown"}</dd>
        <dt>Round trip</dt>
        <dd>{latency_ms === null ? "none" : `${latency_ms} ms`}</dd>
      </dl>
      {error && <p class="error">{error}</p>}
      {state === "up" && can("/libvirt/networks") && (
        <p class="links">
          <a href={href("networks", host)}>Networks</a>
          <a href={href("storage", host)}>Storage</a>
          <a href={href("templates", host)}>Templates</a>
        </p>
      )}
    </li>
  );
}
