/** Asks before something goes, and says what that is. */
import type { ComponentChildren } from "preact";
import { Dialog } from "../parts/dialog.tsx";
import { act } from "../state/act.ts";
import { closeDialog } from "../state/dialog.ts";

interface Props {
  title: string;
  action: string;
  /** What is under way with the object. */
  of: string;
  work: () => Promise<unknown>;
  done: string;
  after?: () => void;
  children: ComponentChildren;
}

export function ConfirmDialog({ title, action, of, work, done, after, children }: Props) {
  const confirm = async () => {
    closeDialog();
    if (await act(of, work, done)) after?.();
  };
  return (
    <Dialog title={title} action={action} isDanger onAction={() => void confirm()}>
      {children}
    </Dialog>
  );
}
