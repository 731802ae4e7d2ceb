/** Asks before a domain loses its power. */
import { domainKey, type Of } from "../domain/acts.ts";
import { call } from "../state/client.ts";
import { ConfirmDialog } from "./confirm.tsx";

export function SwitchOffDialog({ of: { host, name } }: { of: Of }) {
  return (
    <ConfirmDialog
      title={`Switch ${name} off?`}
      action="Switch off"
      of={domainKey({ host, name })}
      work={() => call("POST /libvirt/domain/destroy", { name }, { host })}
      done={`${name} is switched off`}
    >
      <p>
        This is like pulling the power cord: the guest is not asked, and what it has not written to
        its disks is lost. “Shut down” asks the guest instead.
      </p>
    </ConfirmDialog>
  );
}
