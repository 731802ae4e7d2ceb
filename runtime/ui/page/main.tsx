/** Shows the page. */
import { render } from "preact";
import { App } from "./app.tsx";
import { followTheme } from "./state/theme.ts";
import { askWho } from "./state/who.ts";

followTheme();
void askWho();
render(<App />, document.getElementById("page") as HTMLElement);
