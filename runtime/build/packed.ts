/**
 * What few runs of a bundle need: packages, and our own parts for SSH and for the command line. They travel as
 * text, which is compiled when the first of it is asked for; as code they would take every start 6 ms more. The
 * text is in the comments of functions, since a string would be in the bytecode, too.
 */
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";

const RUNTIME = join(import.meta.dirname, "..");

const PACKAGES = ["pino", "pino-pretty", "smol-toml"];

/** Modules of ours, each with the function that the rest calls of it. */
const PARTS = { "hypervisor/ssh/transport.ts": "sshTransport", "program/run.ts": "run" };
/** What these have for themselves; all else of ours they share with the rest. */
const THEIRS = /^(hypervisor\/ssh|cli|build|client|program)\//;

export interface Packed {
  /** Puts stand-ins into their places. */
  plugin: Bun.BunPlugin;
  /** The functions with the texts, for the bundle's first lines. */
  holders: string;
}

type Options = Omit<Bun.BuildConfig, "entrypoints">;

/** `options` are what each is bundled with; before all else, since Bun's bundler waits for itself otherwise. */
export async function packed(options: Options): Promise<Packed> {
  const { resolve } = createRequire(import.meta.url);
  const holders: string[] = [];
  const standIns = new Map<string, string>();
  const pack = async (entrypoint: string, ...plugins: Bun.BunPlugin[]) => {
    const all = [...(options.plugins ?? []), ...plugins];
    const { outputs } = await Bun.build({ ...options, plugins: all, entrypoints: [entrypoint] });
    const code = (await outputs[0]?.text()) ?? "";
    const text = Bun.zstdCompressSync(code, { level: 19 }).toString("base64");
    const name = `packed${holders.length}`;
    holders.push(`function ${name}(){/*${text}*/}`);
    return name;
  };
  for (const name of PACKAGES) standIns.set(name, ofPackage(await pack(resolve(name))));
  for (const [file, name] of Object.entries(PARTS)) {
    const shared = new Set<string>();
    const holder = await pack(join(RUNTIME, file), apart(shared));
    standIns.set(join(RUNTIME, file), ofPart(name, holder, [...shared].sort()));
  }
  return { plugin: standing(standIns), holders: holders.join("") };
}

const quoted = JSON.stringify;
const UNPACK = `import { unpack } from ${quoted(join(RUNTIME, "build/unpack.ts"))};`;

const ofPackage = (holder: string) => `${UNPACK} module.exports = unpack(${holder}, require);`;

function ofPart(name: string, holder: string, shared: string[]): string {
  const imports = shared.map((id, i) => `import * as m${i} from ${quoted(join(RUNTIME, id))};`);
  const known = shared.map((id, i) => `${quoted(`shared:${id}`)}: m${i}`);
  return `${UNPACK} ${imports.join(" ")}
    const load = (name) => ({ ${known.join(", ")} })[name] ?? require(name);
    let part;
    export const ${name} = (...args) => (part ??= unpack(${holder}, load)).${name}(...args);`;
}

/** Leaves out what is shared, and says what that is. */
function apart(shared: Set<string>): Bun.BunPlugin {
  return {
    name: "a part of the runtime",
    setup(build) {
      build.onResolve({ filter: /^\.\.?\// }, ({ path, importer }) => {
        const id = relative(RUNTIME, resolve(dirname(importer), path));
        if (id.startsWith("..") || THEIRS.test(id)) return undefined;
        shared.add(id);
        return { path: id, namespace: "shared" };
      });
      // a module in between, since a dynamic import of what is external stays one
      const filter = /^/;
      build.onLoad({ filter, namespace: "shared" }, ({ path }) => ({
        loader: "js",
        contents: `module.exports = require(${quoted(`shared:${path}`)});`,
      }));
      build.onResolve({ filter: /^shared:/ }, ({ path }) => ({ path, external: true }));
    },
  };
}

function standing(standIns: Map<string, string>): Bun.BunPlugin {
  const namespace = "packed";
  return {
    name: "stand-ins for what is packed",
    setup(build) {
      build.onResolve({ filter: /^[\w-]+$/ }, ({ path }) =>
        standIns.has(path) ? { path, namespace } : undefined,
      );
      const load = ({ path }: { path: string }) => {
        const contents = standIns.get(path);
        return contents === undefined ? undefined : { loader: "js" as const, contents };
      };
      build.onLoad({ filter: /^/, namespace }, load);
      build.onLoad({ filter: /\.ts$/ }, load);
    },
  };
}
