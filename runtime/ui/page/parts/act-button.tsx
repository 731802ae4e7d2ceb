/** A button that calls a function of the server. It is not there for those who may not call it, and waits while it works. */
import type { ComponentChildren } from "preact";
import { busy } from "../state/act.ts";
import { can } from "../state/who.ts";

interface Props {
  /** The function's path. */
  needs: string;
  /** What is under way with the same object. */
  of: string;
  onClick: () => void;
  /** Where the visible word alone does not tell what it is about. */
  label?: string;
  kind?: "plain" | "primary" | "danger";
  isDisabled?: boolean;
  title?: string | undefined;
  children: ComponentChildren;
}

export function ActButton({
  needs,
  of,
  onClick,
  label,
  kind = "plain",
  isDisabled,
  title,
  children,
}: Props) {
  if (!can(needs)) return null;
  return (
    <button
      type="button"
      class={kind}
      aria-label={label}
      title={title}
      disabled={isDisabled || busy.value.has(of)}
      onClick={onClick}
    >
      {children}
    </button>
  );
}
