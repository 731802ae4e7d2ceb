/** A table that is scrolled sideways where it does not fit, with the keyboard too. */
import type { ComponentChildren } from "preact";

type Column = string | { name: string; isNumber: true };

interface Props {
  label: string;
  /** It stands by itself, and not in a card. */
  isAlone?: boolean;
  columns: Column[];
  /** A last column has buttons. */
  hasActions?: boolean;
  /** The rows. */
  children: ComponentChildren;
}

export function WideTable({
  label,
  isAlone = false,
  columns,
  hasActions = false,
  children,
}: Props) {
  return (
    <section
      class={isAlone ? "table-wrap card" : "table-wrap"}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled with the keyboard
      tabIndex={0}
    >
      <table>
        <thead>
          <tr>
            {columns.map((column) => {
              const { name, isNumber } =
                typeof column === "string" ? { name: column, isNumber: false } : column;
              return (
                <th key={name} scope="col" class={isNumber ? "number" : undefined}>
                  {name}
                </th>
              );
            })}
            {hasActions && (
              <th scope="col">
                <span class="hidden">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  );
}
