/** One domain: what it does, what it has, and what can be done with it. */
import { useEffect } from "preact/hooks";
import { DomainActions } from "../domain/actions.tsx";
import { Consoles } from "../domain/consoles.tsx";
import { Definition } from "../domain/definition.tsx";
import { Disks } from "../domain/disks.tsx";
import { Facts } from "../domain/facts.tsx";
import { Interfaces } from "../domain/interfaces.tsx";
import { Plots } from "../domain/plots.tsx";
import { Snapshots } from "../domain/snapshots.tsx";
import { LOOK_MS, useNews } from "../domain/use-news.ts";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { call } from "../state/client.ts";
import { connection, domainOf, followFleet, keyOf, shape } from "../state/fleet.ts";
import { href } from "../state/route.ts";
import { useRead } from "../state/use-read.ts";
import { can, who } from "../state/who.ts";

interface Props {
  host: string;
  name: string;
}

export function DomainView({ host, name }: Props) {
  useEffect(() => (can("/libvirt/domains/watch") ? followFleet() : undefined), []);
  shape.value; // its signal may come later
  const domain = domainOf(keyOf(host, name))?.value;
  const state = domain?.state;
  const isGone = !domain && connection.value === "live";
  const news = useNews({ host, name });
  const details = useRead(
    async (signal) =>
      isGone ? undefined : call("GET /libvirt/domain", { name }, { host, signal }),
    [host, name, isGone, news],
    LOOK_MS,
  );
  const now = (data: { state: string }) => state ?? data.state;
  const trail = (
    <p class="trail">
      <a href={href("domains")}>Domains</a>
      {(who.value?.hosts.length ?? 0) > 1 && <span> / {host}</span>}
    </p>
  );
  if (isGone)
    return (
      <>
        <ViewHead title={name} trail={trail} />
        <p class="empty">There is no domain of this name on {host} any more.</p>
      </>
    );
  return (
    <>
      <ViewHead title={name} trail={trail} note={state && <StateBadge state={state} />}>
        {domain && <DomainActions domain={domain} />}
      </ViewHead>
      {domain && <Plots domain={domain} />}
      <Reading of={details}>
        {(data) =>
          data && (
            <div class="columns">
              <div class="column">
                <Facts details={data} />
                <Snapshots {...{ host, name, news }} />
              </div>
              <div class="column">
                <Consoles {...{ host, name, state: now(data) }} />
                <Disks details={data} />
                <Interfaces details={data} />
              </div>
            </div>
          )
        }
      </Reading>
      <Definition {...{ host, name, news }} />
    </>
  );
}
