/** What has happened, in a few words, for eyes and for screen readers. */
import { signal } from "@preact/signals";

export interface Notice {
  id: number;
  kind: "done" | "error";
  text: string;
}

const DONE_MS = 6000;
let last = 0;
export const notices = signal<Notice[]>([]);

export function notify(kind: Notice["kind"], text: string) {
  const id = ++last;
  notices.value = [...notices.value.slice(-4), { id, kind, text }];
  if (kind === "done") setTimeout(() => dismiss(id), DONE_MS); // an error stays until it was read
}

export const dismiss = (id: number) => {
  notices.value = notices.value.filter((one) => one.id !== id);
};
