/** Shows the page. */

import { signal } from "@preact/signals";
import { render } from "preact";
import uPlot from "uplot";
import { createClient } from "../../client/client.ts";

const n = signal(0);
const call = createClient(new URL("..", import.meta.url).href);
console.log(uPlot, call);
render(<p>{n}</p>, document.body);
