/** What packed.ts has packed: the code in a function's comment, which is compiled now. */

/** `load` finds the modules that the code does without. */
export function unpack(holder: () => void, load: (name: string) => object): object {
  const text = holder.toString();
  const base64 = text.slice(text.indexOf("/*") + 2, text.lastIndexOf("*/"));
  const code = Bun.zstdDecompressSync(Buffer.from(base64, "base64")).toString();
  const module = { exports: {} };
  // biome-ignore lint/security/noGlobalEval: it is a part of this file
  const run = globalThis.eval(code);
  run(module.exports, load, module);
  return module.exports;
}
