/** Asks for the name of a new snapshot. */
import { useState } from "preact/hooks";
import { domainKey, type Of } from "../domain/acts.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Field } from "../parts/field.tsx";
import { act } from "../state/act.ts";
import { call } from "../state/client.ts";
import { closeDialog } from "../state/dialog.ts";
import { begin } from "../state/jobs.ts";
import { can } from "../state/who.ts";

const stamp = () => new Date().toISOString().slice(0, 16).replace("T", "-").replace(":", "");

export function SnapshotDialog({ of: { host, name }, isOff }: { of: Of; isOff: boolean }) {
  const [snapshot, setSnapshot] = useState(`snapshot-${stamp()}`);
  const [description, setDescription] = useState("");
  const take = async () => {
    closeDialog();
    const input = {
      ...{ domain_name: name, snapshot_name: snapshot.trim() },
      ...(description.trim() && { description: description.trim() }),
    };
    const endpoint = "POST /libvirt/snapshot/create";
    if (isOff || !can("/job"))
      await act(
        domainKey({ host, name }),
        () => call(endpoint, input, { host }),
        `Snapshot ${input.snapshot_name} of ${name} is taken`,
      );
    else await begin(`The snapshot of ${name}`, () => call(endpoint, input, { host, wait: false }));
  };
  return (
    <Dialog
      title={`Take a snapshot of ${name}`}
      action="Take snapshot"
      isDisabled={snapshot.trim() === ""}
      onAction={() => void take()}
    >
      <Field label="Name" value={snapshot} onInput={setSnapshot} isRequired isFirst />
      <Field label="Description" value={description} onInput={setDescription} hint="Optional" />
      <p class="hint">
        {isOff
          ? "It keeps the disks as they are now."
          : "It keeps the disks and the memory; the guest stands still while its memory is written."}
      </p>
    </Dialog>
  );
}
