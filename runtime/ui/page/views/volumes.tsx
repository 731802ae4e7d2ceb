/** The volumes of one pool. */

import { ConfirmDialog } from "../dialogs/confirm.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { Reading } from "../parts/reading.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { call } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { bytes, plural, UNKNOWN } from "../state/format.ts";
import { useRead } from "../state/use-read.ts";

interface Props {
  host: string;
  pool: string;
  /** Changes with each change of a pool. */
  changes: number;
}

export function Volumes({ host, pool, changes }: Props) {
  const volumes = useRead(
    (signal) => call("GET /libvirt/volumes", { pool }, { host, signal }),
    [host, pool, changes],
  );
  const remove = (volume: string) =>
    openDialog(
      <ConfirmDialog
        title={`Delete volume ${volume}?`}
        action="Delete volume"
        of={`volume ${host}/${pool}/${volume}`}
        work={() => call("POST /libvirt/volume/delete", { pool, volume }, { host })}
        done={`Volume ${volume} is deleted`}
        after={volumes.reload}
      >
        <p>
          All that is on <strong>{volume}</strong> goes, and cannot be brought back. It is refused
          while a domain uses the volume, or another image is based on it.
        </p>
      </ConfirmDialog>,
    );
  const note = (total: number) => `${plural(total, "volume")} in ${pool}`;
  return (
    <section class="card">
      <h2>{volumes.data ? note(volumes.data.total) : `Volumes in ${pool}`}</h2>
      <Reading
        of={volumes}
        empty={({ total }) => (total === 0 ? "The pool has no volume." : undefined)}
      >
        {(data) => (
          <WideTable
            label="Volumes"
            columns={[
              "Name",
              "Format",
              { name: "Capacity", isNumber: true },
              { name: "Takes", isNumber: true },
              "Based on",
            ]}
            hasActions
          >
            {data.volumes.map(
              ({ name, format, type, capacity_bytes, allocation_bytes, backing }) => (
                <tr key={name}>
                  <th scope="row">{name}</th>
                  <td>{format ?? type}</td>
                  <td class="number">{bytes(capacity_bytes)}</td>
                  <td class="number">{bytes(allocation_bytes)}</td>
                  <td class="path">{backing?.path ?? UNKNOWN}</td>
                  <td class="row-buttons">
                    <ActButton
                      needs="/libvirt/volume/delete"
                      of={`volume ${host}/${pool}/${name}`}
                      label={`Delete volume ${name}`}
                      onClick={() => remove(name)}
                    >
                      Delete …
                    </ActButton>
                  </td>
                </tr>
              ),
            )}
          </WideTable>
        )}
      </Reading>
    </section>
  );
}
