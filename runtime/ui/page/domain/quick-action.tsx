/** The one thing that is done most with a domain in its state. */
import { ActButton } from "../parts/act-button.tsx";
import { Icon } from "../parts/icon.tsx";
import type { Domain } from "../state/fleet.ts";
import { domainKey, resume, shutDown, start } from "./acts.ts";

export function QuickAction({ domain }: { domain: Domain }) {
  const { name, state } = domain;
  const of = domainKey(domain);
  if (state === "paused")
    return (
      <ActButton
        needs="/libvirt/domain/resume"
        of={of}
        label={`Resume ${name}`}
        onClick={() => void resume(domain)}
      >
        <Icon name="start" /> Resume
      </ActButton>
    );
  if (state === "shut off" || state === "crashed")
    return (
      <ActButton
        needs="/libvirt/domain/start"
        of={of}
        label={`Start ${name}`}
        onClick={() => void start(domain)}
      >
        <Icon name="start" /> Start
      </ActButton>
    );
  return (
    <ActButton
      needs="/libvirt/domain/shutdown"
      of={of}
      label={`Shut down ${name}`}
      onClick={() => void shutDown(domain)}
    >
      <Icon name="off" /> Shut down
    </ActButton>
  );
}
