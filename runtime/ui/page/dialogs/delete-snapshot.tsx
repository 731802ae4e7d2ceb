/** Asks before a snapshot goes. */
import { domainKey, type Of } from "../domain/acts.ts";
import { call } from "../state/client.ts";
import { ConfirmDialog } from "./confirm.tsx";

export function DeleteSnapshotDialog({
  of: { host, name },
  snapshot,
}: {
  of: Of;
  snapshot: string;
}) {
  const input = { domain_name: name, snapshot_name: snapshot };
  return (
    <ConfirmDialog
      title={`Delete snapshot ${snapshot}?`}
      action="Delete snapshot"
      of={domainKey({ host, name })}
      work={() => call("POST /libvirt/snapshot/delete", input, { host })}
      done={`Snapshot ${snapshot} of ${name} is deleted`}
    >
      <p>
        <strong>{name}</strong> stays as it is, but cannot go back to {snapshot} any more. Snapshots
        that were taken after it stay.
      </p>
    </ConfirmDialog>
  );
}
