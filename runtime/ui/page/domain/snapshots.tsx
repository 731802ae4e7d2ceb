/** The snapshots of a domain. */

import { DeleteSnapshotDialog } from "../dialogs/delete-snapshot.tsx";
import { RevertDialog } from "../dialogs/revert.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { Reading } from "../parts/reading.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { call } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { when } from "../state/format.ts";
import { useRead } from "../state/use-read.ts";
import { can } from "../state/who.ts";
import { domainKey } from "./acts.ts";
import { LOOK_MS } from "./use-news.ts";

interface Props {
  host: string;
  name: string;
  /** They are read again when it changes. */
  news: string;
}

export function Snapshots({ host, name, news }: Props) {
  const of = domainKey({ host, name });
  const snapshots = useRead(
    (signal) => call("GET /libvirt/snapshots", { name }, { host, signal }),
    [host, name, news],
    LOOK_MS,
  );
  if (!can("/libvirt/snapshots")) return null;
  return (
    <section class="card">
      <h2>Snapshots</h2>
      <Reading
        of={snapshots}
        empty={({ total }) => (total === 0 ? "The domain has no snapshot." : undefined)}
      >
        {(data) => (
          <WideTable label="Snapshots" columns={["Name", "Taken", "State"]} hasActions>
            {data.snapshots.map((snapshot) => (
              <tr key={snapshot.name}>
                <th scope="row">
                  {snapshot.name}
                  {snapshot.current && <span class="badge idle">current</span>}
                  {snapshot.description && <p class="hint">{snapshot.description}</p>}
                </th>
                <td>{when(snapshot.created)}</td>
                <td>
                  {snapshot.state}, {snapshot.location}
                </td>
                <td class="row-buttons">
                  <ActButton
                    needs="/libvirt/snapshot/revert"
                    of={of}
                    label={`Revert to ${snapshot.name}`}
                    onClick={() =>
                      openDialog(<RevertDialog of={{ host, name }} snapshot={snapshot.name} />)
                    }
                  >
                    Revert …
                  </ActButton>
                  <ActButton
                    needs="/libvirt/snapshot/delete"
                    of={of}
                    label={`Delete snapshot ${snapshot.name}`}
                    onClick={() =>
                      openDialog(
                        <DeleteSnapshotDialog of={{ host, name }} snapshot={snapshot.name} />,
                      )
                    }
                  >
                    Delete …
                  </ActButton>
                </td>
              </tr>
            ))}
          </WideTable>
        )}
      </Reading>
    </section>
  );
}
