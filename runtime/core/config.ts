/** Settings: `hypersdk.toml` (or `$HYPERSDK_CONFIG`), and PORT, HOST, LISTEN and LIBVIRT_DEFAULT_URI from the environment. */
import { readFileSync } from "node:fs";
import * as z from "zod";
import { inputError } from "./errors.ts";
import { isSsh, sshUriProblem } from "./libvirt-uri.ts";
import { mayExist } from "./paths.ts";

/** What holds where nothing is said. */
const DEFAULTS = {
  /** Address and port to listen on. */
  host: "127.0.0.1",
  port: 8080,
  /** A Unix socket in their place. */
  listen: undefined as string | undefined,
  /** The hypervisor of a call that names none. */
  default_host: "local",
  hosts: {} as Record<string, { uri: string }>,
  /** Bytes of a request body. */
  max_body: 1024 * 1024,
  access: {
    /** The tokens' file; ~/.config/hypersdk/tokens.json unless given. */
    tokens: undefined as string | undefined,
    /** Local users and the Unix socket need no token; unless given, as long as there is neither token nor proxy. */
    local: undefined as boolean | undefined,
    /** The local users, besides root and the server's own, of whom that is true; the Unix socket is theirs too. */
    group: "libvirt",
    /** Addresses or networks of proxies that do the TLS. */
    proxies: [] as string[],
  },
  cors: {
    /** Origins whose pages may call. */
    origins: [] as string[],
  },
  /**
   * PEM files, read again when they change. With `client_ca`, client certificates are asked for, and must be
   * signed by one of these.
   */
  tls: undefined as { cert: string; key: string; client_ca?: string | undefined } | undefined,
  limits: {
    /** Calls a second, of one token, user or address. */
    rate: 5000,
    /** Bytes of URL and headers; Bun itself ends more than 16 KB. */
    max_headers: 8192,
    /** Calls at work at once on one hypervisor, and on all; those that look and those that change apart. */
    per_host: 128,
    total: 512,
    /** Calls that may wait for a place, and for how many seconds. */
    queue: 1000,
    wait: 30,
    /** Seconds that calls get to end when the server is told to. */
    shutdown: 30,
  },
  audit: {
    /** ~/.local/state/hypersdk/audit.jsonl unless given. */
    file: undefined as string | undefined,
  },
  files: {
    /** Folders of the hypervisor that images may come from and go to. */
    allowed: ["/data", "/backups", "/srv", "/mnt", "/media", "/var/lib/libvirt"],
  },
  batch: {
    /** Domains that one batch works on at once. */
    concurrency: 4,
  },
  clone: {
    /** Disks that are copied at once on a hypervisor. */
    copies: 2,
  },
  ssh: {
    /** Seconds until a login, at each hop, is given up. */
    timeout: 4,
    /** Seconds of silence after which a connection counts as lost. */
    keepalive: 15,
    /** Seconds until an unused connection is closed. */
    idle: 300,
    /** Logins under way at once at one sshd. */
    logins: 4,
  },
  virsh: {
    /** Seconds until a short command is given up. */
    timeout: 30,
    /** Warm sessions a lane (reads, changes, guest agent) and hypervisor. */
    sessions: 4,
    /** Calls that may wait for a session, a lane and hypervisor. */
    queue: 1000,
    /** Seconds until an unused session is closed. */
    idle: 60,
  },
};

export type Config = typeof DEFAULTS;

/** Why there can be no hypervisor at a URI; undefined when there can. */
export function uriProblem(uri: string): string | undefined {
  if (!/^[a-z]+(\+[a-z0-9]+)?:\/\//.test(uri))
    return "must be a libvirt URI such as qemu:///system";
  return isSsh(uri) ? sshUriProblem(uri) : undefined;
}

const libvirtUri = () =>
  z.string().superRefine((uri, ctx) => {
    const message = uriProblem(uri);
    if (message) ctx.addIssue({ code: "custom", message });
  });
const alias = () =>
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, ".", "_" and "-"');
const absolutePath = () => z.string().startsWith("/", "must be an absolute path");
const section = <S extends z.core.$ZodLooseShape>(shape: S) => z.strictObject(shape).partial();
const seconds = () => z.number().positive();
const from = (least: number, most?: number) => {
  const int = z.int().min(least);
  return most === undefined ? int : int.max(most);
};

/** What may be said. Each is made only where something is said of it: all of them would take a start 4 ms. */
const SCHEMAS: Record<keyof Config, () => z.ZodType> = {
  host: () => z.string().min(1),
  port: () => z.coerce.number().int().min(0).max(65535),
  listen: () =>
    z.string().regex(/^unix:\/[^\0]+$/, "must be a Unix socket such as unix:/run/hypersdk.sock"),
  default_host: alias,
  hosts: () => z.record(alias(), z.strictObject({ uri: libvirtUri() })),
  max_body: () => from(1),
  access: () => {
    const addresses = [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()];
    return section({
      tokens: absolutePath(),
      local: z.boolean(),
      group: z.string().min(1),
      proxies: z.array(z.union(addresses, "must be an IP address or a network")),
    });
  },
  cors: () => {
    const text = "must be an origin such as https://ui.example";
    return section({ origins: z.array(z.string().regex(/^https?:\/\/[^/]+$/, text)) });
  },
  tls: () =>
    z.strictObject({
      cert: absolutePath(),
      key: absolutePath(),
      client_ca: absolutePath().optional(),
    }),
  limits: () =>
    section({
      rate: from(1),
      max_headers: from(1024, 16384),
      per_host: from(1),
      total: from(1),
      queue: from(0),
      wait: seconds(),
      shutdown: z.number().min(0),
    }),
  audit: () => section({ file: absolutePath() }),
  files: () => section({ allowed: z.array(absolutePath()) }),
  batch: () => section({ concurrency: from(1, 64) }),
  clone: () => section({ copies: from(1, 16) }),
  ssh: () =>
    section({ timeout: seconds(), keepalive: seconds(), idle: seconds(), logins: from(1, 64) }),
  virsh: () =>
    section({ timeout: seconds(), sessions: from(1, 64), queue: from(0), idle: seconds() }),
};

export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const path = env.HYPERSDK_CONFIG || "hypersdk.toml";
  const file = env.HYPERSDK_CONFIG || mayExist(path) ? readToml(path) : {};
  const config = merge({
    ...check(file, path),
    ...check({ host: env.HOST || undefined, listen: env.LISTEN || undefined }, "environment"),
    ...(env.PORT && { port: portOf(env.PORT) }),
  });
  config.hosts.local ??= { uri: defaultUri(env.LIBVIRT_DEFAULT_URI) };
  if (!Object.hasOwn(config.hosts, config.default_host)) {
    const known = Object.keys(config.hosts).join(", ");
    throw new Error(
      `${path}: default_host: no [hosts.${config.default_host}]; there are: ${known}`,
    );
  }
  return config;
}

/** What is said, once it is known to be right. */
function check(given: Record<string, unknown>, where: string): Record<string, unknown> {
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  if (said.length === 0) return {};
  const known = said.filter(([key]) => Object.hasOwn(SCHEMAS, key)) as [keyof Config, unknown][];
  const shape = Object.fromEntries(known.map(([key]) => [key, SCHEMAS[key]()]));
  const result = z.strictObject(shape).safeParse(Object.fromEntries(said));
  if (result.success) return result.data;
  throw new Error(`${where}: ${inputError(result.error).message}`);
}

/** Nearly every start has one: it needs no schema, which takes 0.7 ms, unless it is wrong. */
function portOf(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return port <= 65535 ? port : (check({ port: text }, "environment").port as number);
}

/** Of a section, what is not said is as it is without one. */
function merge(said: Record<string, unknown>): Config {
  const sections = Object.entries(DEFAULTS).map(([key, preset]) => {
    const value = said[key] ?? preset;
    return [key, isTable(preset) ? { ...preset, ...(value as object) } : value];
  });
  return Object.fromEntries(sections) as Config;
}

const isTable = (value: unknown): value is object =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function defaultUri(uri: string | undefined): string {
  if (!uri) return "qemu:///system";
  const problem = uriProblem(uri);
  if (problem) throw new Error(`LIBVIRT_DEFAULT_URI: ${problem}`);
  return uri;
}

function readToml(path: string): Record<string, unknown> {
  const { parse } = require("smol-toml") as typeof import("smol-toml"); // comes with the first file
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}
