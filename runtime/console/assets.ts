/** Scripts and styles of the pages, built from their sources; `hypersdk build` puts what it has built in the place of this file. */
import { join } from "node:path";
import { inlineScript } from "../core/inline.ts";
import type { Kind } from "./paths.ts";

const FOLDER = join(import.meta.dirname, "page");

export interface Assets {
  /** As it stands in a script element. */
  script: string;
  style: string;
}

export async function assetsOf(kind: Kind): Promise<Assets> {
  const { outputs } = await Bun.build({
    entrypoints: [join(FOLDER, `${kind}.ts`)],
    target: "browser",
    format: "esm", // noVNC waits at its top level
    minify: true,
  });
  const [{ default: own }, theirs] = await Promise.all([
    import("./page/page.css", { with: { type: "text" } }),
    kind === "serial"
      ? import("@xterm/xterm/css/xterm.css", { with: { type: "text" } })
      : { default: "" },
  ]);
  const script = inlineScript((await outputs[0]?.text()) ?? "");
  return { script, style: `${theirs.default}\n${own}` };
}
