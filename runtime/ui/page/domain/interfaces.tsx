/** The network interfaces of a domain. */
import { WideTable } from "../parts/wide-table.tsx";
import { UNKNOWN } from "../state/format.ts";
import type { Details } from "./facts.tsx";

export function Interfaces({ details: { interfaces } }: { details: Details }) {
  return (
    <section class="card">
      <h2>Interfaces</h2>
      {interfaces.length === 0 ? (
        <p class="empty">The domain has no interface.</p>
      ) : (
        <WideTable label="Interfaces" columns={["MAC address", "Connected to", "Model", "Device"]}>
          {interfaces.map(({ mac, type, source, model, device }) => (
            <tr key={mac}>
              <th scope="row" class="path">
                {mac ?? UNKNOWN}
              </th>
              <td>
                {type} {source}
              </td>
              <td>{model ?? UNKNOWN}</td>
              <td>{device ?? UNKNOWN}</td>
            </tr>
          ))}
        </WideTable>
      )}
    </section>
  );
}
