/** The screens and serial consoles of a domain: a picture, and links to their own pages. */
import { Reading } from "../parts/reading.tsx";
import { address, call } from "../state/client.ts";
import { useRead } from "../state/use-read.ts";
import { can, who } from "../state/who.ts";

interface Props {
  host: string;
  name: string;
  state: string;
}

export function Consoles({ host, name, state }: Props) {
  const info = useRead(
    (signal) => call("GET /console/info", { name }, { host, signal }),
    [host, name, state],
  );
  if (!can("/console/info")) return null;
  const none = (data: NonNullable<typeof info.data>) =>
    data.screens.length + data.serials.length === 0 ? "The domain has no console." : undefined;
  return (
    <section class="card">
      <h2>Consoles</h2>
      <Reading of={info} empty={none}>
        {({ screens, serials, screenshot }) => (
          <>
            {screenshot && can("/console/screenshot") && (
              <img
                class="screenshot"
                src={address(screenshot)}
                alt={`The screen of ${name} when this view was opened`}
              />
            )}
            <ul class="consoles">
              {screens.map(({ type, page, reason }, i) => (
                <Console
                  key={`screen ${i}`}
                  title={`Screen (${type})`}
                  page={page}
                  reason={reason}
                />
              ))}
              {serials.map(({ device, page, reason }) => (
                <Console
                  key={device}
                  title={`Serial console ${device}`}
                  page={page}
                  reason={reason}
                />
              ))}
            </ul>
          </>
        )}
      </Reading>
    </section>
  );
}

interface ConsoleProps {
  title: string;
  page: string | null;
  reason: string | null;
}

/** Who may only look, watches. */
function Console({ title, page, reason }: ConsoleProps) {
  const isView = who.value?.access === "read";
  if (page === null)
    return (
      <li>
        {title}: {reason}
      </li>
    );
  return (
    <li>
      <a href={address(`${page}${isView ? "&view=true" : ""}`)} target="_blank" rel="noreferrer">
        {isView ? `Watch: ${title}` : title} <span class="hidden">(opens in a new tab)</span>
      </a>
    </li>
  );
}
