/** A table that is scrolled sideways where it does not fit, with the keyboard too. */
import type { ComponentChildren } from "preact";

interface Props {
  label: string;
  /** It stands by itself, and not in a card. */
  isAlone?: boolean;
  children: ComponentChildren;
}

export function WideTable({ label, isAlone = false, children }: Props) {
  return (
    <section
      class={isAlone ? "table-wrap card" : "table-wrap"}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: it is scrolled with the keyboard
      tabIndex={0}
    >
      <table>{children}</table>
    </section>
  );
}
