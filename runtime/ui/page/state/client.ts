/** The one way to the server: its typed client. The browser sends the session's cookie by itself. */
import { createClient, type Data, type Endpoint } from "../../../client/client.ts";
import { watched } from "./watchdog.ts";

/** Where the server is found, also below a proxy's path: this script is `ui/script` there. */
export const BASE = new URL("..", import.meta.url).href;

/** Told when a call is refused because nobody has signed in, or the session is over. */
let refused = () => {};
export const whenRefused = (then: () => void) => {
  refused = then;
};

export const call = createClient(BASE, {
  async fetch(url, init) {
    const response = await fetch(url, init);
    if (response.status === 401) refused();
    return watched(response);
  },
});

/** What each event of an endpoint's stream says. */
export type Told<E extends Endpoint> = Data<E> extends AsyncIterable<{ data: infer T }> ? T : never;

/** The address of a page of the server, such as `/console/vnc?name=…`. */
export const address = (path: string) => BASE.replace(/\/$/, "") + path;

export const messageOf = (error: unknown) => (error as Error).message;
