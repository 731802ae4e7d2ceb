/** The pages of consoles: each in one file, with nothing from outside. They are the same for all domains. */
import { HyperError } from "../core/errors.ts";
import { sourceHash } from "../core/inline.ts";
import type { Kind } from "./paths.ts";

interface Page {
  html: string;
  policy: string;
}

const pages = new Map<Kind, Promise<Page>>();
const policies = new Map<Kind, string>();

/** Made with the first request: a start does not wait for it. */
export async function pageOf(kind: Kind): Promise<string> {
  const making = pages.get(kind) ?? make(kind);
  pages.set(kind, making);
  making.catch(() => pages.delete(kind));
  const { html, policy } = await making;
  policies.set(kind, policy);
  return html;
}

/** Of a page that was made. */
export const pageHeaders = (kind: Kind): Record<string, string> => ({
  "Content-Security-Policy": policies.get(kind) ?? "default-src 'none'",
  "Referrer-Policy": "no-referrer", // its own address may hold a ticket
});

const BUTTONS: Record<Kind, string> = {
  vnc: `<button id="keys" type="button">Ctrl+Alt+Del</button>
<button id="clips" type="button">Clipboard</button>
<button id="scale" type="button">Scale</button>`,
  serial: `<button id="force" type="button" hidden>Take over</button>`,
};

const TITLES: Record<Kind, string> = { vnc: "screen", serial: "serial console" };

const CLIPBOARD = `<div id="clip" hidden><label for="clipboard">Clipboard</label>
<textarea id="clipboard" rows="3"></textarea><button id="paste" type="button">To the guest</button></div>`;

async function make(kind: Kind): Promise<Page> {
  const { assetsOf } = await import("./assets.ts");
  const { script, style } = await assetsOf(kind).catch((cause) => {
    throw new HyperError(
      "function_unavailable",
      "the page cannot be made; the server's log says why",
      { cause },
    );
  });
  // only this text runs, and it reaches this server alone. xterm 6 makes style elements; noVNC shows JPEGs by data URLs
  const policy = [
    "default-src 'none'",
    `script-src ${sourceHash(script)}`,
    "style-src 'unsafe-inline'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; ");
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${TITLES[kind]}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header>
<h1 id="name"></h1>
<p id="state" role="status"></p>
${BUTTONS[kind]}
<button id="full" type="button">Full screen</button>
<button id="reconnect" type="button" hidden>Reconnect</button>
</header>
${kind === "vnc" ? CLIPBOARD : ""}
<main id="screen" aria-label="${TITLES[kind]}"></main>
<dialog id="ask" aria-labelledby="question"><form method="dialog"><p id="question"></p>
<input id="answer" type="password" autocomplete="off" aria-labelledby="question">
<button value="ok">OK</button> <button value="">Cancel</button></form></dialog>
<script type="module">${script}</script>
</body>
</html>
`;
  return { html, policy };
}
