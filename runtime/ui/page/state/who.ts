/** Who uses the page, and what they may do: what they may not is not offered. */
import { signal } from "@preact/signals";
import type { Data } from "../../../client/client.ts";
import { call, messageOf, whenRefused } from "./client.ts";

export type Who = Data<"GET /whoami">;

/** Undefined while it is being asked, null where somebody must sign in. */
export const who = signal<Who | null | undefined>(undefined);
/** Why nothing can be shown. */
export const trouble = signal<string | null>(null);

whenRefused(() => {
  who.value = null;
});

export async function askWho() {
  try {
    who.value = await call("GET /whoami");
    trouble.value = null;
  } catch (error) {
    if (who.value === undefined) trouble.value = messageOf(error);
  }
}

/** Whether the server would let them call a function, by its path. */
export const can = (path: string) => who.value?.functions.includes(path) ?? false;

export async function signIn(token: string) {
  await call("POST /ui/session", { token });
  await askWho();
}

export async function signOut() {
  await call("POST /ui/sign-out");
  who.value = null;
}
