/** The definition of a domain, as libvirt has it. It is read when somebody opens it. */
import { useState } from "preact/hooks";
import { Reading } from "../parts/reading.tsx";
import { call } from "../state/client.ts";
import { useRead } from "../state/use-read.ts";
import { can } from "../state/who.ts";
import { LOOK_MS } from "./use-news.ts";

interface Props {
  host: string;
  name: string;
  /** It is read again when this changes. */
  news: string;
}

export function Definition({ host, name, news }: Props) {
  const [isOpen, setOpen] = useState(false);
  const definition = useRead(
    async (signal) =>
      isOpen ? call("GET /libvirt/domain/definition", { name }, { host, signal }) : null,
    [host, name, news, isOpen],
    LOOK_MS,
  );
  if (!can("/libvirt/domain/definition")) return null;
  return (
    <section class="card">
      <details onToggle={({ currentTarget }) => setOpen(currentTarget.open)}>
        <summary>
          <h2>Definition</h2>
        </summary>
        <Reading of={definition}>
          {(data) =>
            data && (
              // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled with the keyboard
              <section class="code" tabIndex={0} aria-label={`Definition of ${name}`}>
                <pre>{data.xml}</pre>
              </section>
            )
          }
        </Reading>
      </details>
    </section>
  );
}
