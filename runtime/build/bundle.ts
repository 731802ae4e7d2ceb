/** Bundles functions with all their dependencies into one file for `bun`, and into an executable that needs no Bun. */
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defaultSettings } from "../core/config-defaults.ts";
import { FUNCTIONS } from "../function/load.ts";
import { LAZY_REQUIRE } from "./lazy.ts";
import { describe, describeFile, type Manifest } from "./manifest.ts";
import type { Selection } from "./select.ts";
import { WITHOUT_CONSOLES } from "./without-consoles.ts";

const RUNTIME = join(import.meta.dirname, "..");

/**
 * Writes NAME.js with its bytecode NAME.js.jsc, with `compile` the executable NAME, and NAME.json, the manifest.
 * Files of those names are replaced once everything is built; a failure leaves them as they were.
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
    const pages = await Promise.all([consolePages(paths), fleetPage(paths)]);
    const config = options(paths, pages);
    const { outputs } = await build(config);
    for (const output of outputs) {
      const end = output.kind === "bytecode" ? ".js.jsc" : ".js";
      writeFileSync(join(made, `${name}${end}`), new Uint8Array(await output.arrayBuffer()));
    }
    const files = [`${name}.js`, `${name}.js.jsc`];
    if (compile) {
      const outfile = join(made, name);
      // an executable must not read .env or bunfig.toml of the folder that it is started in
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

/** Bun rejects with "Bundle failed"; the reasons are in `errors` of that AggregateError. */
function build(config: Bun.BuildConfig): Promise<Bun.BuildOutput> {
  return Bun.build(config).catch((cause) => {
    const why = cause instanceof AggregateError ? cause.errors.join("\n") : cause.message;
    throw new Error(`the bundle cannot be made: ${why}`, { cause });
  });
}

function options(paths: string[], [consoles, page]: [string, string]): Bun.BuildConfig {
  return {
    entrypoints: [join(RUNTIME, "program/program.ts")],
    files: {
      [join(RUNTIME, "function/load.ts")]: functionsModule(paths),
      [join(RUNTIME, "core/config-defaults.ts")]: defaultsModule(),
      [join(RUNTIME, "console/assets.ts")]: consoles,
      [join(RUNTIME, "ui/assets.ts")]: page,
      ...(paths.some((path) => path.startsWith("/console/")) ? {} : withoutConsoles()),
      [join(RUNTIME, "http/durable.ts")]: withoutJobs("once", "respondAsync"),
      [join(RUNTIME, "cli/submit.ts")]: withoutJobs("checkJob", "submit"),
      [join(RUNTIME, "server/worker.ts")]: "export const stopWorker = async () => {};", // it has no jobs
    },
    target: "bun",
    format: "cjs", // bytecode needs CommonJS
    bytecode: true,
    minify: true,
    banner: LAZY_REQUIRE,
    // packages look for workers beside themselves, which a bundle does not have; the real path is this machine's
    define: { __dirname: '"/"', __filename: '"/"', "import.meta.dirname": '"/"' },
    plugins: [withoutAddons, withoutUnused],
  };
}

/** ssh2 has optional native addons and works without them. */
const withoutAddons: Bun.BunPlugin = {
  name: "without native addons",
  setup(build) {
    const namespace = "addon";
    const contents = 'throw new Error("a bundle has no native addons");';
    build.onResolve({ filter: /\.node$/ }, ({ path }) => ({ path, namespace }));
    build.onLoad({ filter: /./, namespace }, () => ({ loader: "js", contents }));
  },
};

/** Modules that packages load but this project does not use: the SSH server, SFTP and key generation of ssh2, transports of pino. */
const UNUSED =
  /\/(ssh2\/lib\/(server|keygen|http-agents|protocol\/SFTP)|pino\/lib\/(transport|multistream)|@pinojs\/redact\/index)\.js$/;
const withoutUnused: Bun.BunPlugin = {
  name: "without unused modules",
  setup(build) {
    build.onLoad({ filter: UNUSED }, () => ({ loader: "js", contents: "module.exports = {};" }));
  },
};

/** Replaces ../core/config-defaults.ts: the schema of the settings would cost half of a start. */
const defaultsModule = () =>
  `export const defaultSettings = () => (${JSON.stringify(defaultSettings())});`;

const withoutConsoles = () =>
  Object.fromEntries(
    Object.entries(WITHOUT_CONSOLES).map(([file, source]) => [join(RUNTIME, file), source]),
  );

/** Replaces ../console/assets.ts: a bundle has no sources that it could build the pages of. */
async function consolePages(paths: string[]): Promise<string> {
  const { KINDS } = await import("../console/paths.ts");
  const { assetsOf } = await import("../console/assets.ts");
  const kinds = KINDS.filter((kind) => paths.includes(`/console/${kind}`));
  const made = await Promise.all(kinds.map(async (kind) => [kind, await assetsOf(kind)]));
  return `const pages = ${JSON.stringify(Object.fromEntries(made))};
export const assetsOf = async (kind) => pages[kind];`;
}

/** Replaces ../ui/assets.ts, likewise. */
async function fleetPage(paths: string[]): Promise<string> {
  if (!paths.some((path) => /^\/ui\b/.test(path))) return "export {};";
  const { pageAssets } = await import("../ui/assets.ts");
  return `const assets = ${JSON.stringify(await pageAssets())};
export const pageAssets = async () => assets;`;
}

/** The source of a module in the place of one that needs the database, which a function on its own has not. */
const withoutJobs = (...exported: string[]) => `import { HyperError } from "../core/errors.ts";
const text = "a function deployed on its own keeps neither jobs nor keys; call a server that has all functions";
const unavailable = () => { throw new HyperError("function_unavailable", text); };
export { ${exported.map((name) => `unavailable as ${name}`).join(", ")} };`;

/** The source of the module that replaces ../function/load.ts in a bundle. */
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
  const loaded = functions.find((one) => one.path === path);
  if (loaded) return loaded.function;
  throw new HyperError("not_found", \`no function \${path}\`);
}
`;
}
