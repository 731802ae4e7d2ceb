/** The networks of a hypervisor. */

import type { Data } from "../../../client/client.ts";
import { ConfirmDialog } from "../dialogs/confirm.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { HostPicker, hostOf } from "../parts/host-picker.tsx";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { act } from "../state/act.ts";
import { useChanges } from "../state/changes.ts";
import { call } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { plural, UNKNOWN } from "../state/format.ts";
import { useRead } from "../state/use-read.ts";

type Network = Data<"GET /libvirt/network">;

/** Of more, the addresses are not read. */
const MAX_READ = 40;

async function readAll(host: string, signal: AbortSignal) {
  const { networks } = await call("GET /libvirt/networks", {}, { host, signal });
  const read = networks
    .slice(0, MAX_READ)
    .map(({ name }) =>
      call("GET /libvirt/network", { name }, { host, signal }).catch(() => undefined),
    );
  const details = await Promise.all(read);
  return networks.map((network, i) => ({ ...details[i], ...network }));
}

export function NetworksView({ parts }: { parts: string[] }) {
  const host = hostOf(parts);
  const changes = useChanges("network", host);
  const networks = useRead((signal) => readAll(host, signal), [host, changes]);
  return (
    <>
      <ViewHead title="Networks" note={networks.data && plural(networks.data.length, "network")}>
        <HostPicker view="networks" host={host} />
      </ViewHead>
      <Reading
        of={networks}
        empty={(all) => (all.length === 0 ? "There is no network." : undefined)}
      >
        {(all) => (
          <WideTable
            label="Networks"
            isAlone
            columns={["Name", "State", "Forward", "Bridge", "Addresses", "Autostart"]}
            hasActions
          >
            {all.map((network) => (
              <NetworkRow key={network.name} host={host} network={network} />
            ))}
          </WideTable>
        )}
      </Reading>
    </>
  );
}

type Shown = Pick<Network, "name" | "active" | "autostart"> & Partial<Network>;

function NetworkRow({ host, network }: { host: string; network: Shown }) {
  const { name, active, autostart, forward, bridge, ips = [] } = network;
  const of = `network ${host}/${name}`;
  const turn = active ? "stop" : "start";
  const done = active ? `Network ${name} is stopped` : `Network ${name} is started`;
  const remove = () =>
    openDialog(
      <ConfirmDialog
        title={`Delete network ${name}?`}
        action="Delete network"
        of={of}
        work={() => call("POST /libvirt/network/delete", { name }, { host })}
        done={`Network ${name} is deleted`}
      >
        <p>
          The definition of {name} goes{active && ", and it is stopped first"}. Domains that are
          connected to it lose their connection, and do not start until they have another network.
        </p>
      </ConfirmDialog>,
    );
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <StateBadge state={active ? "active" : "inactive"} />
      </td>
      <td>{forward ?? UNKNOWN}</td>
      <td>{bridge ?? UNKNOWN}</td>
      <td class="path">
        {ips.map(({ address, prefix }) => `${address}/${prefix}`).join(", ") || UNKNOWN}
      </td>
      <td>{autostart ? "yes" : "no"}</td>
      <td class="row-buttons">
        <ActButton
          needs={`/libvirt/network/${turn}`}
          of={of}
          label={`${active ? "Stop" : "Start"} network ${name}`}
          onClick={() =>
            void act(of, () => call(`POST /libvirt/network/${turn}`, { name }, { host }), done)
          }
        >
          {active ? "Stop" : "Start"}
        </ActButton>
        <ActButton
          needs="/libvirt/network/delete"
          of={of}
          label={`Delete network ${name}`}
          onClick={remove}
        >
          Delete …
        </ActButton>
      </td>
    </tr>
  );
}
