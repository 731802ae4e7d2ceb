/** The dialogue that is open, if any. */
import { signal } from "@preact/signals";
import type { VNode } from "preact";

export const dialog = signal<VNode | null>(null);

export const openDialog = (content: VNode) => {
  dialog.value = content;
};
export const closeDialog = () => {
  dialog.value = null;
};
