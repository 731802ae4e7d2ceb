/** The page of the whole fleet: one HTML document with a script and a style of its own, and nothing from outside. */
import { createHash } from "node:crypto";
import { HyperError } from "../core/errors.ts";
import { version } from "../core/version.ts";
import type { Assets } from "./assets.ts";

export type Part = keyof Assets;

interface Page extends Assets {
  /** By which a browser keeps a part for as long as it does not change. */
  versions: Record<Part, string>;
}

let making: Promise<Page> | undefined;
let made: Page | undefined;

/** Made with the first request: a start does not wait for it. */
async function page(): Promise<Page> {
  making ??= make().catch((cause) => {
    making = undefined;
    const text = "the page cannot be made; the server's log says why";
    throw new HyperError("function_unavailable", text, { cause });
  });
  return making;
}

async function make(): Promise<Page> {
  const { pageAssets } = await import("./assets.ts");
  const assets = await pageAssets();
  const hash = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);
  made = { ...assets, versions: { script: hash(assets.script), style: hash(assets.style) } };
  return made;
}

export const partOf = async (part: Part): Promise<string> => (await page())[part];

/** Of a part that was made. One of another version, as a page from before an update asks for, is not kept under its name. */
export const partHeaders = (part: Part, v: string | undefined): Record<string, string> => {
  const isSame = v !== undefined && v === made?.versions[part];
  return { "Cache-Control": isSame ? "private, max-age=31536000, immutable" : "no-cache" };
};

/** Only these two run and style, and they reach this server alone. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

export const pageHeaders = {
  "Content-Security-Policy": POLICY,
  "Referrer-Policy": "no-referrer",
  "Cache-Control": "no-cache",
};

/** Its addresses are relative, so that it works below a proxy's path too. */
export async function pageHtml(): Promise<string> {
  const { script, style } = (await page()).versions;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="HyperSDK Functions ${version}">
<title>HyperSDK</title>
<link rel="icon" href="data:image/svg+xml,${encodeURIComponent(ICON)}">
<link rel="stylesheet" href="ui/style?v=${style}">
<script type="module" src="ui/script?v=${script}"></script>
</head>
<body>
<div id="page"></div>
<noscript>This page needs JavaScript. The API works without: docs describes it.</noscript>
</body>
</html>
`;
}

const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#2f6feb"/><path d="M4 5h8M4 8h8M4 11h5" stroke="#fff" stroke-width="1.6" stroke-linecap="round"/></svg>';
