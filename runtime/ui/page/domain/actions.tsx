/** The buttons of one domain: those that fit its state and the caller's rights. */
import { CloneDialog } from "../dialogs/clone.tsx";
import { DeleteDomainDialog } from "../dialogs/delete-domain.tsx";
import { SnapshotDialog } from "../dialogs/snapshot.tsx";
import { SwitchOffDialog } from "../dialogs/switch-off.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { openDialog } from "../state/dialog.ts";
import type { Domain } from "../state/fleet.ts";
import { domainKey, pause, reboot, resume, shutDown, start } from "./acts.ts";

export function DomainActions({ domain }: { domain: Domain }) {
  const { state } = domain;
  const isOff = state === "shut off" || state === "crashed";
  const isPaused = state === "paused";
  const of = domainKey(domain);
  const mayClone = isOff || isPaused;
  return (
    <>
      {isOff && (
        <ActButton
          needs="/libvirt/domain/start"
          of={of}
          kind="primary"
          onClick={() => void start(domain)}
        >
          Start
        </ActButton>
      )}
      {isPaused && (
        <ActButton
          needs="/libvirt/domain/resume"
          of={of}
          kind="primary"
          onClick={() => void resume(domain)}
        >
          Resume
        </ActButton>
      )}
      {!isOff && !isPaused && (
        <>
          <ActButton needs="/libvirt/domain/shutdown" of={of} onClick={() => void shutDown(domain)}>
            Shut down
          </ActButton>
          <ActButton needs="/libvirt/domain/reboot" of={of} onClick={() => void reboot(domain)}>
            Reboot
          </ActButton>
          <ActButton needs="/libvirt/domain/pause" of={of} onClick={() => void pause(domain)}>
            Pause
          </ActButton>
        </>
      )}
      {!isOff && (
        <ActButton
          needs="/libvirt/domain/destroy"
          of={of}
          onClick={() => openDialog(<SwitchOffDialog of={domain} />)}
        >
          Switch off …
        </ActButton>
      )}
      <ActButton
        needs="/libvirt/snapshot/create"
        of={of}
        onClick={() => openDialog(<SnapshotDialog of={domain} isOff={isOff} />)}
      >
        Snapshot …
      </ActButton>
      <ActButton
        needs="/libvirt/clone"
        of={of}
        isDisabled={!mayClone}
        title={mayClone ? undefined : "A domain is cloned while it is shut off or paused"}
        onClick={() => openDialog(<CloneDialog of={domain} />)}
      >
        Clone …
      </ActButton>
      <ActButton
        needs="/libvirt/domain/delete"
        of={of}
        kind="danger"
        onClick={() => openDialog(<DeleteDomainDialog of={domain} isOff={isOff} />)}
      >
        Delete …
      </ActButton>
    </>
  );
}
