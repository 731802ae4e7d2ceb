/** Permissions: the access that functions declare, and the rights that a caller holds. */
import { HyperError } from "../core/errors.ts";
import { matches } from "./glob.ts";

/**
 * The access of a function. read: it changes nothing. operate: it changes what runs. admin: it creates or
 * destroys objects, changes definitions, or touches files. Each includes those before it.
 */
export const ACCESS = ["read", "operate", "admin"] as const;
export type Access = (typeof ACCESS)[number];

/** A caller and their rights. A list of null is no limit. */
export interface Caller {
  kind: "token" | "user" | "socket" | "process";
  /** The token's name, the user's name, the socket's path. */
  name: string;
  /** Of a token: another one of the same name, be it a later one or another machine's, is another caller. */
  fingerprint?: string;
  /** Null for a token that lists functions instead. */
  role: Access | null;
  /** Paths; `*` stands for anything, so `/libvirt/domain/*` is a folder. */
  functions: string[] | null;
  /** Aliases of hypervisors. */
  hosts: string[] | null;
  /** Names of domains; `*` and `?` are wildcards. Of a caller with `select` there are none, so who asks no more refuses. */
  domains: string[] | null;
  /** The query of the inventory that selects the domains, when the caller acts (domain-rights.ts). */
  select?: string;
  /** RFC 3339; null for never. */
  expires: string | null;
}

const ALL = { role: "admin", functions: null, hosts: null, domains: null, expires: null } as const;

/** A caller with every right. */
export const everything = (kind: Caller["kind"], name: string): Caller => ({ kind, name, ...ALL });

/** A script, the command line, a test: code of this process, which could do without us all that it asks for. */
export const PROCESS: Caller = everything("process", "this process");

/** Who a caller is, without their rights. */
export type Identity = Pick<Caller, "kind" | "name" | "fingerprint">;

export const identityOf = ({ kind, name, fingerprint }: Caller): Identity => ({
  kind,
  name,
  ...(fingerprint !== undefined && { fingerprint }),
});

/** Who calls a function that needs no right, such as the page before somebody has signed in. */
export const ANYBODY: Caller = {
  ...{ kind: "user", name: "anybody", role: null, functions: [], hosts: [], domains: [] },
  expires: null,
};

/** A caller for people: `token "ci"`. */
export const describeCaller = ({ kind, name }: Caller) => `${kind} ${JSON.stringify(name)}`;

export function mayCall({ role, functions }: Caller, path: string, access: Access): boolean {
  if (functions) return matches(functions, path);
  return role !== null && ACCESS.indexOf(role) >= ACCESS.indexOf(access);
}

/** Throws `forbidden`, naming what is missing. */
export function checkCall(caller: Caller, path: string, access: Access) {
  if (mayCall(caller, path, access)) return;
  const { role, functions } = caller;
  if (functions) throw forbidden(caller, `function:${path}`, `may not call ${path}`);
  const text = `may not call ${path}, which needs access "${access}"; it has "${role}"`;
  throw forbidden(caller, `access:${access}`, text);
}

export const mayUse = ({ hosts }: Caller, host: string) => !hosts || hosts.includes(host);

/** Throws `forbidden` for a hypervisor that is not the caller's. */
export function checkHost(caller: Caller, host: string) {
  if (mayUse(caller, host)) return;
  const text = `may not use hypervisor ${JSON.stringify(host)}; it may use ${caller.hosts?.join(", ")}`;
  throw forbidden(caller, `host:${host}`, text);
}

export const maySee = ({ domains }: Caller, name: string) => !domains || matches(domains, name);

/** libvirt reads hexadecimal digits as a UUID, whatever hyphens and spaces are between them. */
const UUID = /^[0-9a-f]{32}$/i;

export const isUuid = (name: string) => UUID.test(name.replace(/[\s-]/g, ""));

/** Throws `forbidden` for a domain that is not the caller's (`isOwn`). A UUID does not tell the name, so it is refused. */
export function checkDomain(caller: Caller, name: string, isOwn: boolean) {
  if (!caller.domains) return;
  const hidden = isUuid(name);
  if (!hidden && isOwn) return;
  const why = hidden ? "; name it, since a UUID does not tell its name" : "";
  const text = `may not touch domain ${JSON.stringify(name)}; it is limited to ${describeLimit(caller)}${why}`;
  throw forbidden(caller, `domain:${name}`, text);
}

/** For people: the domains of a caller who is limited to some. */
export const describeLimit = ({ domains, select }: Caller) =>
  select === undefined ? `${domains?.join(", ")}` : `the domains that exist and match ${select}`;

/** `missing` is for programs: `access:admin`, `function:/libvirt/clone`, `host:kvm1`, `domain:db1`, `image:b.qcow2`. */
export function forbidden(caller: Caller, missing: string, text: string): HyperError {
  return new HyperError("forbidden", `${describeCaller(caller)} ${text}`, { details: { missing } });
}
