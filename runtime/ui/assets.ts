/** The page's script and style, built from their sources; `hypersdk build` puts what it has built in the place of this file. */
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "page");

export interface Assets {
  script: string;
  style: string;
}

export async function pageAssets(): Promise<Assets> {
  const { outputs } = await Bun.build({
    entrypoints: [join(FOLDER, "main.tsx"), join(FOLDER, "style/page.css")],
    target: "browser",
    format: "esm",
    minify: true,
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const [script, style] = await Promise.all(
    [".js", ".css"].map((end) => outputs.find(({ path }) => path.endsWith(end))?.text()),
  );
  if (script === undefined || style === undefined)
    throw new Error("the page has no script or style");
  return { script, style };
}
