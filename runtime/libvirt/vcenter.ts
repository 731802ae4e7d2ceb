/** VMware's servers as hypervisors: their URIs, and the file with their password that libvirt reads. */
import { randomUUID } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as z from "zod";
import { stateFolder } from "../core/paths.ts";

/** Written into lines of a file. */
const line = z
  .string()
  .min(1)
  .max(255)
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, "must not contain control characters");

export const VcenterServer = z.strictObject({
  hostname: z
    .string()
    .regex(
      /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:\d{1,5})?$/,
      "must be a host name, with a port if need be",
    )
    .describe("of the vCenter, or of an ESXi"),
  username: line
    .regex(/^[^:/?#[\]]*$/, 'must not contain ":", "/", "?", "#", "[" or "]"')
    .describe("such as root"),
  password: line.describe("kept in a file that this server's user alone can read"),
  insecure: z.boolean().default(false).describe("do not check the server's certificate"),
  datacenter: z
    .string()
    .regex(/^[^\p{Cc}\p{Cs}?#]{1,255}$/u, "must be a path such as Datacenter/cluster/esxi1")
    .optional()
    .describe("of a vCenter: Datacenter/[cluster/]server; without it the host is an ESXi"),
});

export type VcenterServer = z.output<typeof VcenterServer>;

const folder = () => `${stateFolder()}/auth`;
/** Of one call alone: two may add a server of one name at once. */
export const newAuthFile = (alias: string) => `${folder()}/${alias}-${randomUUID()}.conf`;

export function vcenterUri(authfile: string, server: VcenterServer): string {
  const { hostname, username, insecure, datacenter } = server;
  const path = (datacenter ?? "").split("/").filter(Boolean).map(encodeURIComponent).join("/");
  const query = new URLSearchParams({
    ...(insecure && { no_verify: "1" }),
    authfile,
  });
  const user = encodeURIComponent(username);
  return `${datacenter === undefined ? "esx" : "vpx"}://${user}@${hostname}/${path}?${query}`;
}

/** libvirt's own form (source: libvirt, docs/auth.rst). Its lines have a value as it is, up to their end. */
export function writeAuthFile(file: string, { hostname, username, password }: VcenterServer) {
  const [host] = hostname.split(":");
  mkdirSync(folder(), { recursive: true, mode: 0o700 });
  const text = `[credentials-server]
username=${username}
password=${password}

[auth-esx-${host}]
credentials=server

[auth-esx-default]
credentials=server
`;
  writeFileSync(file, text, { mode: 0o600, flag: "wx" });
}

/** The file that a URI names, if it is one of ours. */
export function removeAuthFile(uri: string) {
  const file = new URLSearchParams(uri.split("?")[1]).get("authfile");
  if (file && dirname(file) === folder()) rmSync(file, { force: true });
}
