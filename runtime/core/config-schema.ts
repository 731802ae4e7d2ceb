/** The schema of hypersdk.toml with its defaults. Loaded with the first file, because it costs half of a bundle's start. */
import * as z from "zod";
import { listenProblem, portProblem } from "./config-listening.ts";
import { uriProblem } from "./libvirt-uri.ts";

const without =
  <T>(problem: (value: T) => string | undefined) =>
  (value: T, ctx: z.RefinementCtx) => {
    const message = problem(value);
    if (message) ctx.addIssue({ code: "custom", message });
  };
const libvirtUri = z.string().superRefine(without(uriProblem));
const port = z.coerce.number(portProblem(Number.NaN)).superRefine(without(portProblem));
export const alias = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/, 'must be letters, digits, ".", "_" and "-"');
const absolutePath = z.string().startsWith("/", "must be an absolute path");
const address = z.union(
  [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
  "must be an IP address or a network",
);
const origin = z
  .string()
  .regex(/^https?:\/\/[^/]+$/, "must be an origin such as https://ui.example");
const imageHost = z
  .string()
  .toLowerCase()
  .regex(
    /^(\*\.)?([a-z0-9_-]+\.)*[a-z0-9_-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/,
    'must be a host such as "cloud.debian.org", "*.example.org" or "10.0.0.5:8000"',
  );
const database = z
  .string()
  .regex(/^postgres(ql)?:\/\/\S+$/, "must be a URL such as postgres://user@db.example/hypersdk");
const positive = z.int().min(1);
const count = z.int().min(0);
const seconds = z.number().positive();

export const Settings = z.strictObject({
  host: z.string("must be an address; a hypervisor is [hosts.NAME]").min(1).default("127.0.0.1"),
  port: port.default(8080),
  listen: z.string().superRefine(without(listenProblem)).optional(),
  /** The hypervisor of a call that names none. */
  default_host: alias.default("local"),
  hosts: z
    .record(
      alias,
      z.strictObject({
        uri: libvirtUri,
        /** Programs there, such as qemu-img, run through `sudo -n`; virsh does not. */
        sudo: z.boolean().optional(),
      }),
    )
    .prefault({}),
  /** Bytes of a request body. */
  max_body: positive.default(1024 * 1024),
  access: z
    .strictObject({
      /** The tokens' file; ~/.config/hypersdk/tokens.json unless given. */
      tokens: absolutePath.optional(),
      /** Local users and the Unix socket need no token; unless given, as long as there is neither token nor proxy. */
      local: z.boolean().optional(),
      /** The local users, besides root and the server's own, of whom that is true; the Unix socket is theirs too. */
      group: z.string().min(1).default("libvirt"),
      /** Addresses or networks of proxies that do the TLS. */
      proxies: z.array(address).default([]),
    })
    .prefault({}),
  cors: z
    .strictObject({
      /** Origins whose pages may call. */
      origins: z.array(origin).default([]),
    })
    .prefault({}),
  /** PEM files, read again when they change. With `client_ca`, client certificates signed by it are required. */
  tls: z
    .strictObject({ cert: absolutePath, key: absolutePath, client_ca: absolutePath.optional() })
    .optional(),
  limits: z
    .strictObject({
      /** Calls a second, and open streams of events, of one token, user or address. */
      rate: positive.default(5000),
      streams: positive.max(1000).default(200),
      /** Bytes of URL and headers; Bun itself refuses more than 16 KB. */
      max_headers: z.int().min(1024).max(16384).default(8192),
      /** Calls at work at once on one hypervisor, and on all, reads and changes apart; those that may wait, and how long. */
      per_host: positive.default(128),
      total: positive.default(512),
      queue: count.default(1000),
      wait: seconds.default(30),
      /** Seconds that calls get to end when the server is told to. */
      shutdown: z.number().min(0).default(30),
    })
    .prefault({}),
  audit: z
    .strictObject({
      /** ~/.local/state/hypersdk/audit.jsonl unless given. */
      file: absolutePath.optional(),
    })
    .prefault({}),
  files: z
    .strictObject({
      /** Folders of the hypervisor that images may come from and go to. */
      allowed: z
        .array(absolutePath)
        .default(["/data", "/backups", "/srv", "/mnt", "/media", "/var/lib/libvirt"]),
    })
    .prefault({}),
  images: z
    .strictObject({
      /** Hosts of URLs that images may be downloaded from; with no port, those of http and https. */
      hosts: z.array(imageHost).default([]),
      /** Whether a name among them may lead to an address of a private network. One that is listed by address may always. */
      private: z.boolean().default(false),
    })
    .prefault({}),
  database: z
    .strictObject({
      /** A PostgreSQL server; unless given, this process runs a private one once it needs it. */
      url: database.optional(),
      /** The folder of the private one's programs, where they are neither Debian's nor on the PATH. */
      binaries: absolutePath.optional(),
    })
    .prefault({}),
  batch: z
    .strictObject({
      /** Domains that one batch works on at once. */
      concurrency: positive.max(64).default(4),
    })
    .prefault({}),
  clone: z
    .strictObject({
      /** Images that are copied at once on a hypervisor: disks of clones and exports, volumes. */
      copies: positive.max(16).default(2),
    })
    .prefault({}),
  jobs: z
    .strictObject({
      /** Jobs at work at once: of a worker, and on a hypervisor across all workers. */
      concurrency: positive.max(1000).default(32),
      per_host: positive.max(1000).default(16),
      /** Whether the server runs jobs, and not only `hypersdk worker`. */
      workers: z.boolean().default(true),
      /** The name of this machine among those on one database; told from /etc/machine-id unless given. */
      machine: alias.optional(),
      /** Days that a job that has ended is kept. */
      keep_days: positive.default(30),
    })
    .prefault({}),
  notifications: z
    .strictObject({
      /** Hosts that messages may be sent to; `*.example.com` stands for all below it. */
      hosts: z.array(z.string().regex(/^(\*\.)?[^*\s/]+$/, "must be a host name")).default([]),
      /** Addresses and networks that may be connected to although they are not public. */
      private: z.array(address).default([]),
      /** PEM file of the authorities that sign the receivers' certificates, besides the well-known ones. */
      ca: absolutePath.optional(),
    })
    .prefault({}),
  alerts: z
    .strictObject({
      /** Seconds between two measurements of what rules are about. */
      period: seconds.min(1).max(3600).default(15),
    })
    .prefault({}),
  console: z
    .strictObject({
      /** Consoles that are open at once. */
      open: positive.max(10_000).default(500),
      /** Seconds until one is closed in which no byte has passed. */
      idle: seconds.default(3600),
    })
    .prefault({}),
  ssh: z
    .strictObject({
      /** Seconds until a login, at each hop, is given up. */
      timeout: seconds.default(4),
      /** Seconds of silence after which a connection counts as lost. */
      keepalive: seconds.default(15),
      /** Seconds until an unused connection is closed. */
      idle: seconds.default(300),
      /** Logins under way at once at one sshd, and programs that it is starting. */
      logins: positive.max(64).default(4),
    })
    .prefault({}),
  virsh: z
    .strictObject({
      /** Seconds until a short command is given up. */
      timeout: seconds.default(30),
      /** Warm sessions a lane (reads, changes, guest agent) and hypervisor. */
      sessions: positive.max(64).default(4),
      /** Calls that may wait for a session, a lane and hypervisor. */
      queue: count.default(1000),
      /** Seconds until an unused session is closed. */
      idle: seconds.default(60),
    })
    .prefault({}),
});

export type Config = z.output<typeof Settings>;
