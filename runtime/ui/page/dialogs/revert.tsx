/** Asks before a domain goes back to a snapshot. */
import { domainKey, type Of } from "../domain/acts.ts";
import { call } from "../state/client.ts";
import { ConfirmDialog } from "./confirm.tsx";

export function RevertDialog({ of: { host, name }, snapshot }: { of: Of; snapshot: string }) {
  const input = { domain_name: name, snapshot_name: snapshot };
  return (
    <ConfirmDialog
      title={`Revert ${name} to ${snapshot}?`}
      action="Revert"
      of={domainKey({ host, name })}
      work={() => call("POST /libvirt/snapshot/revert", input, { host })}
      done={`${name} is as it was at ${snapshot}`}
    >
      <p>
        What has changed on the disks of <strong>{name}</strong> since {snapshot} is lost, unless
        another snapshot has it.
      </p>
    </ConfirmDialog>
  );
}
