/**
 * Hypervisors that were added at run time stand in the settings beside those of hypersdk.toml, which they never replace.
 * Whatever looks there finds them with its next look.
 */
import { uriProblem } from "../core/libvirt-uri.ts";
import { log } from "../core/log.ts";
import { settings } from "../core/settings.ts";
import { closeHypervisors, tellArrival } from "./registry.ts";

export interface AddedHost {
  alias: string;
  uri: string;
  sudo: boolean;
}

const added = new Map<string, AddedHost>();
/** Aliases that were warned of. */
const shadowed = new Set<string>();

export const isAdded = (alias: string) => added.has(alias);

/** Makes those that are kept the ones that are there. Those that have gone or changed are closed. */
export async function applyHosts(kept: AddedHost[]) {
  const { hosts } = settings();
  const isKept = (host: AddedHost) =>
    kept.some(
      ({ alias, uri, sudo }) => alias === host.alias && uri === host.uri && sudo === host.sudo,
    );
  const gone = [...added.values()].filter((host) => !isKept(host));
  for (const { alias } of gone) {
    added.delete(alias);
    delete hosts[alias];
  }
  const before = added.size;
  for (const host of kept) {
    const { alias, uri, sudo } = host;
    if (added.has(alias) || isRefused(host)) continue;
    hosts[alias] = { uri, sudo };
    added.set(alias, host);
  }
  const closing = gone.map(({ alias }) => closeHypervisors(alias));
  if (added.size > before) tellArrival();
  await Promise.all(closing);
}

function isRefused({ alias, uri }: AddedHost): boolean {
  const problem = Object.hasOwn(settings().hosts, alias)
    ? `hypersdk.toml has a [hosts.${alias}], which counts`
    : uriProblem(uri);
  if (problem === undefined) return false;
  if (!shadowed.has(alias))
    log.warn(`hypervisor ${alias}, which was added, is left out: ${problem}`);
  shadowed.add(alias);
  return true;
}
