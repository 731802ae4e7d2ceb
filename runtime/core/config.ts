/** Settings: `hypersdk.toml` (or `$HYPERSDK_CONFIG`), and PORT, HOST, LISTEN and LIBVIRT_DEFAULT_URI from the environment. */
import { readFileSync } from "node:fs";
import * as z from "zod";
import { defaultSettings } from "./config-defaults.ts";
import { LISTENING } from "./config-listening.ts";
import type { Config } from "./config-schema.ts";
import { inputError } from "./errors.ts";
import { uriProblem } from "./libvirt-uri.ts";
import { mayExist } from "./paths.ts";

export type { Config };

export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const path = env.HYPERSDK_CONFIG || "hypersdk.toml";
  const hasFile = env.HYPERSDK_CONFIG || mayExist(path);
  const fromFile = hasFile ? readSettings(path) : defaultSettings();
  const given = { host: env.HOST, port: env.PORT, listen: env.LISTEN };
  const set = Object.fromEntries(Object.entries(given).filter(([, text]) => text));
  const shape = Object.entries(LISTENING).filter(([key]) => Object.hasOwn(set, key));
  const environment = check(z.object(Object.fromEntries(shape)), set, "environment");
  const config: Config = { ...fromFile, ...environment };
  config.hosts.local ??= { uri: defaultUri(env.LIBVIRT_DEFAULT_URI) };
  if (Object.hasOwn(config.hosts, config.default_host)) return config;
  const known = Object.keys(config.hosts).join(", ");
  throw new Error(`${path}: default_host: no [hosts.${config.default_host}]; there are: ${known}`);
}

function check<S extends z.ZodType>(schema: S, given: unknown, where: string): z.output<S> {
  const result = schema.safeParse(given, { jitless: true });
  if (result.success) return result.data;
  throw new Error(`${where}: ${inputError(result.error).message}`);
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
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}
