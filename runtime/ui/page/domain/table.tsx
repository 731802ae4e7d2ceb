/** The table of domains. Only the rows that can be seen are there, so that a thousand cost what thirty do. */
import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { connection } from "../state/fleet.ts";
import type { SortKey } from "./choose.ts";
import { DomainRow } from "./row.tsx";

const ROW_HEIGHT = 46;
/** Beyond what can be seen, so that scrolling shows no gap. */
const MORE = 8;

const COLUMNS: [key: SortKey | "host" | "actions", title: string][] = [
  ["name", "Name"],
  ["state", "State"],
  ["cpu", "CPU"],
  ["memory", "Memory"],
  ["disk", "Disk read / write"],
  ["net", "Network in / out"],
];

interface Props {
  keys: ReadonlySignal<string[]>;
  sort: SortKey;
  isDown: boolean;
  onSort: (key: SortKey) => void;
}

export function DomainTable({ keys, sort, isDown, onSort }: Props) {
  const place = useRef<HTMLDivElement>(null);
  const [seen, setSeen] = useState({ top: 0, height: 800 });
  const look = () => {
    const { scrollTop = 0, clientHeight = 0 } = place.current ?? {};
    const top = Math.floor(scrollTop / ROW_HEIGHT) * ROW_HEIGHT;
    setSeen((before) =>
      before.top === top && before.height === clientHeight ? before : { top, height: clientHeight },
    );
  };
  useLayoutEffect(look, []);
  useEffect(() => {
    const resized = new ResizeObserver(look);
    resized.observe(place.current as HTMLElement);
    return () => resized.disconnect();
  }, []);
  const all = keys.value;
  const first = Math.max(0, Math.min(seen.top / ROW_HEIGHT, all.length) - MORE);
  const last = Math.min(all.length, first + Math.ceil(seen.height / ROW_HEIGHT) + 2 * MORE);
  const shown = all.slice(first, last);
  return (
    <section
      ref={place}
      class="table-scroll"
      onScroll={look}
      aria-label="Domains"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled with the keyboard
      tabIndex={0}
    >
      <table class="domains" aria-rowcount={all.length + 1}>
        <thead>
          <tr aria-rowindex={1}>
            {COLUMNS.map(([key, title]) => (
              <th
                key={key}
                scope="col"
                class={`col-${key}`}
                aria-sort={key === sort ? (isDown ? "descending" : "ascending") : undefined}
              >
                <button type="button" class="sort" onClick={() => onSort(key as SortKey)}>
                  {title}
                </button>
              </th>
            ))}
            <th scope="col" class="col-actions">
              <span class="hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          <Spacer rows={first} />
          {shown.map((key, i) => (
            <DomainRow key={key} id={key} index={first + i + 2} />
          ))}
          <Spacer rows={all.length - last} />
        </tbody>
      </table>
      {all.length === 0 && connection.value === "live" && <p class="empty">No domain is found.</p>}
    </section>
  );
}

function Spacer({ rows }: { rows: number }) {
  return rows > 0 ? <tr class="spacer" style={{ height: `${rows * ROW_HEIGHT}px` }} /> : null;
}
