/** The networks of a hypervisor. */

import { ConfirmDialog } from "../dialogs/confirm.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { HostPicker, hostOf } from "../parts/host-picker.tsx";
import { Reading } from "../parts/reading.tsx";
import { StateBadge } from "../parts/state-badge.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { act } from "../state/act.ts";
import { call, type Told } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { plural, UNKNOWN } from "../state/format.ts";
import { useWatch } from "../state/use-watch.ts";

type Network = NonNullable<Told<"GET /libvirt/network/watch">["networks"]>[number];

export function NetworksView({ parts }: { parts: string[] }) {
  const host = hostOf(parts);
  const networks = useWatch(
    "GET /libvirt/network/watch",
    (signal) => call("GET /libvirt/network/watch", {}, { host, signal }),
    [host],
  );
  const all = networks.data?.networks;
  return (
    <>
      <ViewHead title="Networks" note={all && plural(all.length, "network")}>
        <HostPicker view="networks" host={host} />
      </ViewHead>
      <Reading
        of={{ ...networks, data: all ?? undefined }}
        empty={({ length }) => (length === 0 ? "There is no network." : undefined)}
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

function NetworkRow({ host, network }: { host: string; network: Network }) {
  const { name, active, autostart, details } = network;
  const { forward, bridge, ips } = details ?? { forward: null, bridge: null, ips: [] };
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
