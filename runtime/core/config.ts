/** Settings: `hypersdk.toml` (or `$HYPERSDK_CONFIG`), and PORT, HOST, LISTEN and LIBVIRT_DEFAULT_URI from the environment. */
import { readFileSync } from "node:fs";
import type * as z from "zod";
import { defaultSettings } from "./config-defaults.ts";
import { listenProblem, portProblem } from "./config-listening.ts";
import type { Config } from "./config-schema.ts";
import { inputError } from "./errors.ts";
import { schemaOf } from "./json-schema.ts";
import { uriProblem } from "./libvirt-uri.ts";
import { mayExist } from "./paths.ts";
import { withAllowedKeys } from "./unknown-keys.ts";

export type { Config };

/** The file that is read if it exists, in the folder that the process was started in. */
export const DEFAULT_FILE = "hypersdk.toml";

export function loadConfig(
  env: Record<string, string | undefined> = process.env,
  exists = (path: string) => mayExist(path),
): Config {
  const path = env.HYPERSDK_CONFIG || DEFAULT_FILE;
  const hasFile = env.HYPERSDK_CONFIG || exists(path);
  const fromFile = hasFile ? readSettings(path) : defaultSettings();
  const config: Config = { ...fromFile, ...readEnvironment(env) };
  config.hosts.local ??= { uri: defaultUri(env.LIBVIRT_DEFAULT_URI) };
  if (Object.hasOwn(config.hosts, config.default_host)) return config;
  const known = Object.keys(config.hosts).join(", ");
  throw new Error(`${path}: default_host: no [hosts.${config.default_host}]; there are: ${known}`);
}

function readEnvironment(env: Record<string, string | undefined>) {
  const { HOST: host, PORT, LISTEN: listen } = env;
  const port = Number(PORT);
  const wrong = [
    PORT && named("port", portProblem(port)),
    listen && named("listen", listenProblem(listen)),
  ].filter(Boolean);
  if (wrong.length > 0) throw new Error(`environment: ${wrong.join("; ")}`);
  return { ...(host && { host }), ...(PORT && { port }), ...(listen && { listen }) };
}

const named = (name: string, problem: string | undefined) => problem && `${name}: ${problem}`;

function check<S extends z.ZodObject>(schema: S, given: unknown, where: string): z.output<S> {
  const result = schema.safeParse(given, { jitless: true });
  if (result.success) return result.data;
  const { message } = withAllowedKeys(inputError(result.error), schemaOf(schema));
  throw new Error(`${where}: ${message}`);
}

function defaultUri(uri: string | undefined): string {
  if (!uri) return "qemu:///system";
  const problem = uriProblem(uri);
  if (problem) throw new Error(`LIBVIRT_DEFAULT_URI: ${problem}`);
  return uri;
}

function readSettings(path: string): Config {
  const { Settings } = require("./config-schema.ts") as typeof import("./config-schema.ts");
  return check(Settings, readToml(path), path);
}

function readToml(path: string): Record<string, unknown> {
  const { parse } = require("smol-toml") as typeof import("smol-toml"); // loaded with the first file
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    // it quotes the lines around the mistake, and a URL there may hold a password
    const message = (cause as Error).message.replace(/:\/\/[^\s@"]*@/g, "://***@");
    throw new Error(`${path}: ${message}`);
  }
}
