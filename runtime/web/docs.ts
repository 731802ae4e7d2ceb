/**
 * The page that shows `openapi.json` and calls it: Swagger UI in one file, with nothing from outside. From 5.33 on it
 * draws only what is in view of a description as long as ours, which the browser's own search then does not find
 * (swagger-api/swagger-ui#11056); so it stays at 5.32 until it can be told not to.
 */
import { inlineScript, sourceHash } from "../core/inline.ts";

/** Relative, so that the page works below a proxy's path too. The validator would be swagger.io's. */
const START = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  validatorUrl: null,
});`;

export async function docsPage(title: string): Promise<string> {
  // as text, so that a bundle holds them; loaded with the first request, so that a start does not wait for them
  const [{ default: program }, { default: style }] = await Promise.all([
    import("swagger-ui-dist/swagger-ui-bundle.js", { with: { type: "text" } }),
    import("swagger-ui-dist/swagger-ui.css", { with: { type: "text" } }),
  ]);
  const scripts = [program, START].map(inlineScript);
  // the policy lets only these texts run, and lets them reach this server alone
  const policy = [
    "default-src 'none'",
    `script-src ${scripts.map(sourceHash).join(" ")}`,
    `style-src ${sourceHash(style)}`,
    "img-src data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<div id="docs"></div>
${scripts.map((text) => `<script>${text}</script>`).join("\n")}
</body>
</html>
`;
}
