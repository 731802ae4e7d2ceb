/**
 * Packages that few runs of a bundle need: they travel as text, which is compiled when the first of them is
 * imported. As code they would take every start 5 ms more.
 */
import { createRequire } from "node:module";

const SELDOM = ["commander", "pino", "pino-pretty", "smol-toml", "ssh-config", "ssh2"];

/** `options` are what each is bundled with; before all else, since Bun's bundler waits for itself otherwise. */
export async function packed(
  options: Omit<Bun.BuildConfig, "entrypoints">,
): Promise<Bun.BunPlugin> {
  const { resolve } = createRequire(import.meta.url);
  const texts = new Map<string, string>();
  for (const name of SELDOM) {
    const { outputs } = await Bun.build({ ...options, entrypoints: [resolve(name)] });
    const code = (await outputs[0]?.text()) ?? "";
    const text = Bun.zstdCompressSync(code, { level: 19 }).toString("base64");
    const unpacked = `Bun.zstdDecompressSync(Buffer.from("${text}", "base64")).toString()`;
    texts.set(name, `(0, eval)(${unpacked})(exports, require, module);`);
  }
  const namespace = "packed";
  const filter = new RegExp(`^(${SELDOM.join("|")})$`);
  return {
    name: "packages as text",
    setup(build) {
      build.onResolve({ filter }, ({ path }) => ({ path, namespace }));
      build.onLoad({ filter: /./, namespace }, ({ path }) => ({
        loader: "js",
        contents: texts.get(path) ?? "",
      }));
    },
  };
}
