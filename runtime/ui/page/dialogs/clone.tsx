/** Asks how a clone is named and made. */
import { useState } from "preact/hooks";
import type { Of } from "../domain/acts.ts";
import { Dialog } from "../parts/dialog.tsx";
import { Check, Field } from "../parts/field.tsx";
import { call } from "../state/client.ts";
import { closeDialog } from "../state/dialog.ts";
import { begin } from "../state/jobs.ts";

export function CloneDialog({ of: { host, name } }: { of: Of }) {
  const [target, setTarget] = useState(`${name}-clone`);
  const [linked, setLinked] = useState(false);
  const clone = async () => {
    closeDialog();
    const input = { source: name, target: target.trim(), linked };
    await begin(`The clone ${input.target}`, () =>
      call("POST /libvirt/clone", input, { host, wait: false }),
    );
  };
  return (
    <Dialog
      title={`Clone ${name}`}
      action="Clone"
      isDisabled={target.trim() === ""}
      onAction={() => void clone()}
    >
      <Field label="Name of the new domain" value={target} onInput={setTarget} isRequired isFirst />
      <Check
        label={`Linked: overlays on the disks of ${name}, which must then stay as they are`}
        checked={linked}
        onChange={setLinked}
      />
      <p class="hint">
        It runs as a job, which can be cancelled; a cancelled clone leaves nothing.
      </p>
    </Dialog>
  );
}
