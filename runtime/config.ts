/** Settings: `hypersdk.toml` (or `$HYPERSDK_CONFIG`), and PORT, HOST and LIBVIRT_DEFAULT_URI from the environment. */
import { existsSync, readFileSync } from "node:fs";
import { parse } from "smol-toml";
import * as z from "zod";
import { inputError } from "./errors.ts";
import { isSsh, sshUriProblem } from "./ssh/target.ts";

const Uri = z
  .string()
  .regex(/^[a-z]+(\+[a-z0-9]+)?:\/\//, "must be a libvirt URI such as qemu:///system")
  .superRefine((uri, ctx) => {
    const message = isSsh(uri) ? sshUriProblem(uri) : undefined;
    if (message) ctx.addIssue({ code: "custom", message });
  });
const Alias = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, ".", "_" and "-"');

const Config = z.strictObject({
  /** Address and port to listen on. */
  host: z.string().min(1).default("127.0.0.1"),
  port: z.coerce.number().int().min(0).max(65535).default(8080),
  /** The hypervisor of a call that names none. */
  default_host: Alias.default("local"),
  hosts: z.record(Alias, z.strictObject({ uri: Uri })).default({}),
  /** Bytes of a request body. */
  max_body: z
    .int()
    .positive()
    .default(1024 * 1024),
  files: z
    .strictObject({
      /** Folders of the hypervisor that images may come from and go to. */
      allowed: z
        .array(z.string().startsWith("/", "must be an absolute path"))
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
      /** Logins under way at once, all hosts together. */
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
