/** The files of a seed, as cloud-init's data source NoCloud reads them. */
import type * as z from "zod";
import { FQDN, HOSTNAME, type User, type WriteFile } from "./fields.ts";
import { flowYaml } from "./flow-yaml.ts";
import type { IsoFile } from "./iso9660.ts";
import type { CloudInit } from "./schema.ts";
import { isHashed, sha512Crypt } from "./sha512-crypt.ts";

/** The files of the domain's seed. `uuid` is the domain's, by which a clone is a new instance. */
export function seedFiles(cloudInit: CloudInit, domain: string, uuid: string): IsoFile[] {
  const { user_data, vendor_data, network } = cloudInit;
  const texts = {
    "user-data": user_data ?? `#cloud-config\n${flowYaml(cloudConfig(cloudInit))}`,
    "meta-data": flowYaml(metaData(cloudInit, domain, uuid)),
    "network-config": network && flowYaml(network),
    "vendor-data": vendor_data,
  };
  return Object.entries(texts).flatMap(([name, text]) =>
    text === undefined ? [] : [{ name, content: Buffer.from(text) }],
  );
}

/** Without a host name cloud-init would call every guest localhost. */
function metaData({ hostname, fqdn, ...more }: CloudInit, domain: string, uuid: string) {
  const isName = HOSTNAME.test(domain) || FQDN.test(domain);
  const name = fqdn ?? hostname ?? (isName ? domain : undefined);
  return {
    "instance-id": uuid,
    ...(name && { "local-hostname": name }),
    ...(more.ssh_authorized_keys && { "public-keys": more.ssh_authorized_keys }),
    ...more.meta_data,
  };
}

/** Host name and keys stand in meta-data too, which user-data of the caller's own cannot have. */
function cloudConfig(cloudInit: CloudInit): object {
  const { hostname, fqdn, users, password, packages, write_files, run_commands } = cloudInit;
  const keys = cloudInit.ssh_authorized_keys;
  const defaultUser = keys || password !== undefined ? ["default"] : [];
  return without({
    hostname,
    fqdn,
    prefer_fqdn_over_hostname: hostname && fqdn ? false : undefined,
    users: users && [...defaultUser, ...users.map(userEntry)],
    ssh_authorized_keys: keys,
    password: password && hashed(password),
    chpasswd: password === undefined ? undefined : { expire: false },
    packages,
    write_files: write_files?.map(fileEntry),
    runcmd: run_commands,
  });
}

function userEntry({ password, sudo, home, ...user }: z.output<typeof User>): object {
  return without({
    ...user,
    passwd: password && hashed(password),
    lock_passwd: password === undefined,
    sudo: sudo === true ? "ALL=(ALL) NOPASSWD:ALL" : sudo || undefined,
    homedir: home,
  });
}

function fileEntry(entry: z.output<typeof WriteFile>): object {
  const { encoding, permissions, append, defer, ...file } = entry;
  return without({
    ...file,
    append: append || undefined,
    defer: defer || undefined,
    encoding: encoding === "text" ? undefined : encoding,
    permissions: permissions?.padStart(4, "0"),
  });
}

export const hashed = (password: string) => (isHashed(password) ? password : sha512Crypt(password));

const without = (fields: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
