/** A dialogue: the browser keeps the keyboard within it, and Escape closes it. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { closeDialog } from "../state/dialog.ts";

interface Props {
  title: string;
  /** The word of the button that does it. */
  action: string;
  isDanger?: boolean;
  isDisabled?: boolean;
  onAction: () => void;
  children: ComponentChildren;
}

export function Dialog({ title, action, isDanger = false, isDisabled, onAction, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  const submit = (event: Event) => {
    event.preventDefault();
    onAction();
  };
  return (
    <dialog ref={element} onClose={closeDialog} aria-labelledby="dialog-title">
      <form onSubmit={submit}>
        <h2 id="dialog-title">{title}</h2>
        {children}
        <div class="dialog-buttons">
          <button type="button" onClick={() => element.current?.close()}>
            Cancel
          </button>
          <button type="submit" class={isDanger ? "danger" : "primary"} disabled={isDisabled}>
            {action}
          </button>
        </div>
      </form>
    </dialog>
  );
}
