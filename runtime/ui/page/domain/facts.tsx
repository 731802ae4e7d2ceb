/** What a domain is. */
import type { Data } from "../../../client/client.ts";
import { bytes } from "../state/format.ts";

export type Details = Data<"GET /libvirt/domain">;

export function Facts({ details }: { details: Details }) {
  const { uuid, title, description, vcpus, memory_kb, autostart, persistent, os } = details;
  const rows = [
    ["Title", title],
    ["Description", description],
    ["vCPUs", `${vcpus}`],
    ["Memory", bytes(memory_kb * 1024)],
    ["Machine", [os.arch, os.machine].filter(Boolean).join(", ")],
    ["Firmware", os.firmware ?? "BIOS"],
    ["Starts with the hypervisor", autostart ? "yes" : "no"],
    ["Stays when it is off", persistent ? "yes" : "no"],
    ["UUID", uuid],
  ].filter(([, value]) => value);
  return (
    <section class="card">
      <h2>Domain</h2>
      <dl>
        {rows.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {Object.entries(details.reasons).map(([field, why]) => (
        <p key={field} class="hint">
          {field}: {why}
        </p>
      ))}
    </section>
  );
}
