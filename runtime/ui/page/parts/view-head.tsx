/** The head of a view: its title, which gets the focus when the view is opened, and what can be done there. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: string;
  /** Above the title, where it comes from. */
  trail?: ComponentChildren;
  note?: ComponentChildren;
  children?: ComponentChildren;
}

/** The first view is opened by the browser, which has its own focus. */
let isFirst = true;

export function ViewHead({ title, trail, note, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} – HyperSDK`;
    if (!isFirst) heading.current?.focus();
    isFirst = false;
  }, [title]);
  return (
    <header class="view-head">
      <div class="view-title">
        {trail}
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {note && <p class="note">{note}</p>}
      </div>
      <div class="tools">{children}</div>
    </header>
  );
}
