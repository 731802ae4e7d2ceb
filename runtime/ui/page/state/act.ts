/** Does what a button says, and tells how it went. */
import { signal } from "@preact/signals";
import { messageOf } from "./client.ts";
import { notify } from "./notices.ts";

/** What is under way, by a key of its object: its buttons wait. */
export const busy = signal<ReadonlySet<string>>(new Set());

/** True if it went well. */
export async function act(key: string, work: () => Promise<unknown>, done: string) {
  busy.value = new Set([...busy.value, key]);
  try {
    await work();
    notify("done", done);
    return true;
  } catch (error) {
    notify("error", messageOf(error));
    return false;
  } finally {
    busy.value = new Set([...busy.value].filter((one) => one !== key));
  }
}
