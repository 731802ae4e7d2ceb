/** Asks what is deployed from a template. */
import { useState } from "preact/hooks";
import { Dialog } from "../parts/dialog.tsx";
import { Check, Field, Select } from "../parts/field.tsx";
import { call } from "../state/client.ts";
import { closeDialog } from "../state/dialog.ts";
import { begin } from "../state/jobs.ts";
import { useRead } from "../state/use-read.ts";
import { can } from "../state/who.ts";

interface Props {
  host: string;
  template: string;
}

export function DeployDialog({ host, template }: Props) {
  const [name, setName] = useState("");
  const [memory, setMemory] = useState("");
  const [vcpus, setVcpus] = useState("");
  const [network, setNetwork] = useState("");
  const [start, setStart] = useState(true);
  const networks = useRead(
    async (signal) =>
      can("/libvirt/networks") ? call("GET /libvirt/networks", {}, { host, signal }) : undefined,
    [host],
  );
  const deploy = async () => {
    closeDialog();
    const input = {
      ...{ template, name: name.trim(), start },
      ...(memory && { memory: Number(memory) }),
      ...(vcpus && { vcpus: Number(vcpus) }),
      ...(network && { network }),
    };
    await begin(`The deployment of ${input.name}`, () =>
      call("POST /libvirt/template/deploy", input, { host, wait: false }),
    );
  };
  const names = networks.data?.networks.map((one) => one.name) ?? [];
  return (
    <Dialog
      title={`Deploy from ${template}`}
      action="Deploy"
      isDisabled={name.trim() === ""}
      onAction={() => void deploy()}
    >
      <Field label="Name of the new domain" value={name} onInput={setName} isRequired isFirst />
      <div class="field-row">
        <Field
          label="Memory (MiB)"
          type="number"
          min={1}
          value={memory}
          onInput={setMemory}
          hint="The template's unless given"
        />
        <Field
          label="vCPUs"
          type="number"
          min={1}
          value={vcpus}
          onInput={setVcpus}
          hint="The template's unless given"
        />
      </div>
      {names.length > 0 && (
        <Select
          label="Network of its first interface"
          value={network}
          options={[["", "The template's"], ...names]}
          onChange={setNetwork}
        />
      )}
      <Check label="Start it" checked={start} onChange={setStart} />
    </Dialog>
  );
}
