/** Templates, and domains that can serve as one. */

import { DeployDialog } from "../dialogs/deploy.tsx";
import { ActButton } from "../parts/act-button.tsx";
import { HostPicker, hostOf } from "../parts/host-picker.tsx";
import { Reading } from "../parts/reading.tsx";
import { ViewHead } from "../parts/view-head.tsx";
import { WideTable } from "../parts/wide-table.tsx";
import { call } from "../state/client.ts";
import { openDialog } from "../state/dialog.ts";
import { plural, UNKNOWN, when } from "../state/format.ts";
import { jobChanges } from "../state/jobs.ts";
import { href } from "../state/route.ts";
import { useRead } from "../state/use-read.ts";

export function TemplatesView({ parts }: { parts: string[] }) {
  const host = hostOf(parts);
  const templates = useRead(
    (signal) => call("GET /libvirt/template/list", {}, { host, signal }),
    [host, jobChanges.value],
  );
  const marked = templates.data?.templates.filter(({ template }) => template).length ?? 0;
  return (
    <>
      <ViewHead
        title="Templates"
        note={templates.data && `${plural(marked, "template")}, and domains that are shut off`}
      >
        <HostPicker view="templates" host={host} />
      </ViewHead>
      <Reading
        of={templates}
        empty={({ total }) =>
          total === 0 ? "There is no template, and no domain that is shut off." : undefined
        }
      >
        {(data) => (
          <WideTable
            label="Templates"
            isAlone
            columns={["Name", "Why it is here", "Made from", "Made"]}
            hasActions
          >
            {[...data.templates]
              .sort((a, b) => Number(b.template !== null) - Number(a.template !== null))
              .map(({ name, why, template }) => (
                <tr key={name}>
                  <th scope="row">
                    <a href={href("domain", host, name)}>{name}</a>
                    {template?.description && <p class="hint">{template.description}</p>}
                  </th>
                  <td>{why.map((one) => (one === "marked" ? "template" : one)).join(", ")}</td>
                  <td>{template?.source ?? UNKNOWN}</td>
                  <td>{when(template?.created)}</td>
                  <td class="row-buttons">
                    <ActButton
                      needs="/libvirt/template/deploy"
                      of={`template ${host}/${name}`}
                      label={`Deploy from ${name}`}
                      isDisabled={!why.includes("shut off")}
                      onClick={() => openDialog(<DeployDialog host={host} template={name} />)}
                    >
                      Deploy …
                    </ActButton>
                  </td>
                </tr>
              ))}
          </WideTable>
        )}
      </Reading>
    </>
  );
}
