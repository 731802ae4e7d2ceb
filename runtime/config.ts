/** Settings: `hypersdk.toml` (or `$HYPERSDK_CONFIG`), and PORT, HOST, LISTEN and LIBVIRT_DEFAULT_URI from the environment. */
import { existsSync, readFileSync } from "node:fs";
import { parse } from "smol-toml";
import * as z from "zod";
import { inputError } from "./errors.ts";
import { isSsh, sshUriProblem } from "./ssh/target.ts";

export const Uri = z
  .string()
  .regex(/^[a-z]+(\+[a-z0-9]+)?:\/\//, "must be a libvirt URI such as qemu:///system")
  .superRefine((uri, ctx) => {
    const message = isSsh(uri) ? sshUriProblem(uri) : undefined;
    if (message) ctx.addIssue({ code: "custom", message });
  });
const Alias = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, ".", "_" and "-"');

const AbsolutePath = z.string().startsWith("/", "must be an absolute path");

const Config = z.strictObject({
  /** Address and port to listen on. */
  host: z.string().min(1).default("127.0.0.1"),
  port: z.coerce.number().int().min(0).max(65535).default(8080),
  /** A Unix socket in their place. */
  listen: z
    .string()
    .regex(/^unix:\/[^\0]+$/, "must be a Unix socket such as unix:/run/hypersdk.sock")
    .optional(),
  /** The hypervisor of a call that names none. */
  default_host: Alias.default("local"),
  hosts: z.record(Alias, z.strictObject({ uri: Uri })).default({}),
  /** Bytes of a request body. */
  max_body: z
    .int()
    .positive()
    .default(1024 * 1024),
  access: z
    .strictObject({
      /** The tokens' file; ~/.config/hypersdk/tokens.json unless given. */
      tokens: AbsolutePath.optional(),
      /** Local users and the Unix socket need no token; unless given, as long as there is neither token nor proxy. */
      local: z.boolean().optional(),
      /** The local users, besides root and the server's own, of whom that is true; the Unix socket is theirs too. */
      group: z.string().min(1).default("libvirt"),
      /** Addresses or networks of proxies that do the TLS. */
      proxies: z
        .array(
          z.union(
            [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
            "must be an IP address or a network",
          ),
        )
        .default([]),
    })
    .prefault({}),
  cors: z
    .strictObject({
      /** Origins whose pages may call. */
      origins: z
        .array(
          z.string().regex(/^https?:\/\/[^/]+$/, "must be an origin such as https://ui.example"),
        )
        .default([]),
    })
    .prefault({}),
  tls: z
    .strictObject({
      /** PEM files, read again when they change. */
      cert: AbsolutePath,
      key: AbsolutePath,
      /** Client certificates are asked for, and must be signed by one of these. */
      client_ca: AbsolutePath.optional(),
    })
    .optional(),
  limits: z
    .strictObject({
      /** Calls a second, of one token, user or address. */
      rate: z.int().min(1).default(5000),
      /** Bytes of URL and headers; Bun itself ends more than 16 KB. */
      max_headers: z.int().min(1024).max(16384).default(8192),
      /** Calls at work at once on one hypervisor, and on all; those that look and those that change apart. */
      per_host: z.int().min(1).default(128),
      total: z.int().min(1).default(512),
      /** Calls that may wait for a place, and for how many seconds. */
      queue: z.int().min(0).default(1000),
      wait: z.number().positive().default(30),
      /** Seconds that calls get to end when the server is told to. */
      shutdown: z.number().min(0).default(30),
    })
    .prefault({}),
  audit: z
    .strictObject({
      /** ~/.local/state/hypersdk/audit.jsonl unless given. */
      file: AbsolutePath.optional(),
    })
    .prefault({}),
  files: z
    .strictObject({
      /** Folders of the hypervisor that images may come from and go to. */
      allowed: z
        .array(AbsolutePath)
        .default(["/data", "/backups", "/srv", "/mnt", "/media", "/var/lib/libvirt"]),
    })
    .prefault({}),
  batch: z
    .strictObject({
      /** Domains that one batch works on at once. */
      concurrency: z.int().min(1).max(64).default(4),
    })
    .prefault({}),
  clone: z
    .strictObject({
      /** Disks that are copied at once on a hypervisor. */
      copies: z.int().min(1).max(16).default(2),
    })
    .prefault({}),
  ssh: z
    .strictObject({
      /** Seconds until a login, at each hop, is given up. */
      timeout: z.number().positive().default(4),
      /** Seconds of silence after which a connection counts as lost. */
      keepalive: z.number().positive().default(15),
      /** Seconds until an unused connection is closed. */
      idle: z.number().positive().default(300),
      /** Logins under way at once at one sshd. */
      logins: z.int().min(1).max(64).default(4),
    })
    .prefault({}),
  virsh: z
    .strictObject({
      /** Seconds until a short command is given up. */
      timeout: z.number().positive().default(30),
      /** Warm sessions a lane (reads, changes, guest agent) and hypervisor. */
      sessions: z.int().min(1).max(64).default(4),
      /** Calls that may wait for a session, a lane and hypervisor. */
      queue: z.int().min(0).default(1000),
      /** Seconds until an unused session is closed. */
      idle: z.number().positive().default(60),
    })
    .prefault({}),
});

export type Config = z.output<typeof Config>;

export function loadConfig(env: Record<string, string | undefined> = process.env): Config {
  const path = env.HYPERSDK_CONFIG ?? "hypersdk.toml";
  const file = env.HYPERSDK_CONFIG || existsSync(path) ? readToml(path) : {};
  const overrides = {
    ...(env.HOST && { host: env.HOST }),
    ...(env.PORT && { port: env.PORT }),
    ...(env.LISTEN && { listen: env.LISTEN }),
  };
  const result = Config.safeParse({ ...file, ...overrides });
  if (!result.success) {
    const ours = result.error.issues.every(({ path: [key = ""] }) => key in overrides);
    throw new Error(`${ours ? "environment" : path}: ${inputError(result.error).message}`);
  }
  const config = result.data;
  config.hosts.local ??= { uri: defaultUri(env.LIBVIRT_DEFAULT_URI || "qemu:///system") };
  if (!Object.hasOwn(config.hosts, config.default_host)) {
    const known = Object.keys(config.hosts).join(", ");
    throw new Error(
      `${path}: default_host: no [hosts.${config.default_host}]; there are: ${known}`,
    );
  }
  return config;
}

function defaultUri(uri: string): string {
  const result = Uri.safeParse(uri);
  if (result.success) return uri;
  throw new Error(`LIBVIRT_DEFAULT_URI: ${inputError(result.error).message}`);
}

function readToml(path: string): Record<string, unknown> {
  try {
    return parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new Error(`${path}: ${(cause as Error).message}`, { cause });
  }
}
