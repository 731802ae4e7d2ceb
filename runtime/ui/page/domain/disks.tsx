/** The disks of a domain. */
import { WideTable } from "../parts/wide-table.tsx";
import { UNKNOWN } from "../state/format.ts";
import type { Details } from "./facts.tsx";

export function Disks({ details: { disks } }: { details: Details }) {
  return (
    <section class="card">
      <h2>Disks</h2>
      {disks.length === 0 ? (
        <p class="empty">The domain has no disk.</p>
      ) : (
        <WideTable label="Disks" columns={["Device", "Kind", "Format", "Source"]}>
          {disks.map(({ device, kind, bus, source, format, readonly }) => (
            <tr key={device}>
              <th scope="row">{device}</th>
              <td>
                {kind}
                {bus && `, ${bus}`}
                {readonly && ", read-only"}
              </td>
              <td>{format ?? UNKNOWN}</td>
              <td class="path">{source ?? "empty"}</td>
            </tr>
          ))}
        </WideTable>
      )}
    </section>
  );
}
