/** The volumes of one pool. */

import { ConfirmDialog } from "../dialogs/confirm.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { Reading } from "../parts/reading.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { call, type Told } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { bytes, plural, UNKNOWN } from "../state/format.ts";
import type { Read } from "../state/use-read.ts";

type Volume = NonNullable<Told<"GET /libvirt/pool/watch">["volumes"]>[number];

interface Props {
  host: string;
  pool: string;
  volumes: Read<Volume[]>;
}

export function Volumes({ host, pool, volumes }: Props) {
  const remove = (volume: string) =>
    openDialog(
      <ConfirmDialog
        title={`Delete volume ${volume}?`}
        action="Delete volume"
        of={`volume ${host}/${pool}/${volume}`}
        work={() => call("POST /libvirt/volume/delete", { pool, volume }, { host })}
        done={`Volume ${volume} is deleted`}
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
      <h2>{volumes.data ? note(volumes.data.length) : `Volumes in ${pool}`}</h2>
      <Reading
        of={volumes}
        empty={({ length }) => (length === 0 ? "The pool has no volume." : undefined)}
      >
        {(all) => (
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
            {all.map(({ name, format, type, capacity_bytes, allocation_bytes, backing }) => (
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
            ))}
          </WideTable>
        )}
      </Reading>
    </section>
  );
}
