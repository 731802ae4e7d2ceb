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
        <WideTable label="Interfaces">
          <thead>
            <tr>
              <th scope="col">MAC address</th>
              <th scope="col">Connected to</th>
              <th scope="col">Model</th>
              <th scope="col">Device</th>
            </tr>
          </thead>
          <tbody>
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
          </tbody>
        </WideTable>
      )}
    </section>
  );
}
