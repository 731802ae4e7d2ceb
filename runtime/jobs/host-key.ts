/**
 * How the database names a hypervisor: by its alias, which means the same one on all machines. `local`, which each
 * configuration has, is each machine's own unless its URI names a host: with a database that several machines may
 * share its key is `local/MACHINE`, so that no other machine does its jobs. No alias has a slash.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { HyperError } from "../core/errors.ts";
import { settings } from "../core/settings.ts";

const OWN = "local";
const MACHINE_ID = "/etc/machine-id";
/** A URI that names no host, or this one. */
const HERE = /^[^:]+:\/\/([^@/?]*@)?(localhost|127\.[\d.]+|\[::1\])?(:\d+)?([/?]|$)/;

export function hostKey(alias: string): string {
  const { hosts, database } = settings();
  const isOwn = alias === OWN && database.url && HERE.test(hosts[OWN]?.uri ?? "");
  return isOwn ? `${OWN}/${machine()}` : alias;
}

export const aliasOf = (key: string) => key.replace(/\/.*/, "");

/** Whether the hypervisor is the one that its alias means on this machine. */
export const isHere = (key: string) => hostKey(aliasOf(key)) === key;

/** The alias of a schedule's hypervisor. Throws `invalid_input` for another machine's own one. */
export function aliasHere(key: string): string {
  if (isHere(key)) return aliasOf(key);
  const text = `the schedule is for hypervisor ${aliasOf(key)} of another machine; trigger it there`;
  throw new HyperError("invalid_input", `name: ${text}`);
}

let known: string | undefined;

function machine(): string {
  const { machine } = settings().jobs;
  known ??= createHash("sha256").update(`hypersdk ${machineId()}`).digest("hex").slice(0, 16);
  return machine ?? known;
}

/** It is not to leave the machine (machine-id(5)), so that only a hash is used. A container may have none. */
function machineId(): string {
  try {
    const id = readFileSync(MACHINE_ID, "utf8").trim();
    if (/^[0-9a-f]{32}$/.test(id)) return id;
  } catch {
    // there is none
  }
  return hostname();
}
