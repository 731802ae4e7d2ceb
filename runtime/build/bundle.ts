/** Makes one file of some functions and all they need, for `bun` to run, and an executable that needs no Bun. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FUNCTIONS } from "../function/load.ts";
import { LAZY_REQUIRE } from "./lazy.ts";
import { describe, describeFile, type Manifest } from "./manifest.ts";
import { packed } from "./packed.ts";
import type { Selection } from "./select.ts";

const RUNTIME = join(import.meta.dirname, "..");

/**
 * Writes NAME.js with its bytecode NAME.js.jsc, with `compile` the executable NAME, and NAME.json, the manifest.
 * What had those names is replaced once all is made; a failure leaves it as it was.
 */
export async function bundle(
  selection: Selection,
  folder: string,
  { compile = false } = {},
): Promise<Manifest> {
  const { name, paths } = selection;
  const described = await describe(selection);
  mkdirSync(folder, { recursive: true });
  const made = mkdtempSync(join(folder, ".build-"));
  try {
    const config = await options(paths);
    const { outputs } = await build(config);
    for (const output of outputs) {
      const end = output.kind === "bytecode" ? ".js.jsc" : ".js";
      writeFileSync(join(made, `${name}${end}`), new Uint8Array(await output.arrayBuffer()));
    }
    const files = [`${name}.js`, `${name}.js.jsc`];
    if (compile) {
      const outfile = join(made, name);
      // the folder it is started in is nobody's to configure it
      const alone = { autoloadDotenv: false, autoloadBunfig: false };
      await build({ ...config, compile: { outfile, ...alone } });
      files.push(name);
    }
    const written = files.map((file) => describeFile(made, file));
    const manifest = { ...described, bun: Bun.version, files: written };
    writeFileSync(join(made, `${name}.json`), `${JSON.stringify(manifest, null, 2)}\n`);
    for (const file of [...files, `${name}.json`]) renameSync(join(made, file), join(folder, file));
    return manifest;
  } finally {
    rmSync(made, { recursive: true, force: true });
  }
}

/** Bun says "Bundle failed", and why in the errors of that error. */
function build(config: Bun.BuildConfig): Promise<Bun.BuildOutput> {
  return Bun.build(config).catch((cause) => {
    const why = cause instanceof AggregateError ? cause.errors.join("\n") : cause.message;
    throw new Error(`the bundle cannot be made: ${why}`, { cause });
  });
}

/** What a package is bundled with, too. */
const COMMON = {
  target: "bun",
  format: "cjs", // the only one that may have bytecode beside it
  minify: true,
  // packages look there for workers and the like, which are not there; and the path is this machine's
  define: { __dirname: '"/"', __filename: '"/"', "import.meta.dirname": '"/"' },
} as const;

async function options(paths: string[]): Promise<Bun.BuildConfig> {
  const { plugin, holders } = await packed({ ...COMMON, plugins: [withoutAddons, withoutUnused] });
  return {
    ...COMMON,
    entrypoints: [join(RUNTIME, "program/program.ts")],
    files: { [join(RUNTIME, "function/load.ts")]: functionsModule(paths) },
    bytecode: true,
    // what runs once, at the start, is not worth compiling; program.ts ends this
    banner: `Bun.unsafe.setJITPolicy(100);${LAZY_REQUIRE}${holders}`,
    plugins: [plugin],
  };
}

/** ssh2 has native addons, built or not, and does without them. */
const withoutAddons: Bun.BunPlugin = {
  name: "without native addons",
  setup(build) {
    const namespace = "addon";
    const contents = 'throw new Error("a bundle has no native addons");';
    build.onResolve({ filter: /\.node$/ }, ({ path }) => ({ path, namespace }));
    build.onLoad({ filter: /./, namespace }, () => ({ loader: "js", contents }));
  },
};

/** What packages load and nobody here uses: of ssh2 a server, files and new keys, of pino other ways to write. */
const UNUSED =
  /\/(ssh2\/lib\/(server|keygen|http-agents|protocol\/SFTP)|pino\/lib\/(transport|multistream)|@pinojs\/redact\/index)\.js$/;
const withoutUnused: Bun.BunPlugin = {
  name: "without what is not used",
  setup(build) {
    build.onLoad({ filter: UNUSED }, () => ({ loader: "js", contents: "module.exports = {};" }));
  },
};

/** Stands in for ../function/load.ts. */
function functionsModule(paths: string[]): string {
  const file = (path: string) => JSON.stringify(join(FUNCTIONS, `${path}.ts`));
  const imports = paths.map((path, i) => `import f${i} from ${file(path)};`);
  const list = paths.map((path, i) => `{ path: ${JSON.stringify(path)}, function: f${i} }`);
  return `${imports.join("\n")}
import { HyperError } from "../core/errors.ts";
const functions = [${list.join(", ")}];
export const loadFunctions = async () => functions;
export const functionPaths = async () => functions.map(({ path }) => path);
export async function loadFunction(path) {
  const found = functions.find((one) => one.path === path);
  if (found) return found.function;
  throw new HyperError("not_found", \`no function \${path}\`);
}
`;
}
