/** The open hypervisors of this process; the first command opens one. */
import { isSsh } from "../core/libvirt-uri.ts";
import { settings, uriOf } from "../core/settings.ts";
import { Hypervisor } from "./hypervisor.ts";
import { localTransport } from "./local.ts";
import { sshTransport } from "./ssh/transport.ts";

const open = new Map<string, Hypervisor>();

export function openHypervisor(alias: string): Hypervisor {
  const known = open.get(alias);
  if (known) return known;
  const uri = uriOf(alias);
  const { hosts, virsh, ssh } = settings();
  const transport = isSsh(uri) ? sshTransport(alias, uri, ssh) : localTransport(uri);
  const { sudo } = hosts[alias] ?? {};
  const hypervisor = new Hypervisor(alias, uri, { ...virsh, sudo }, transport);
  open.set(alias, hypervisor);
  return hypervisor;
}

/** The hypervisors called since the start, or since they were closed. */
export const openHypervisors = () => [...open.values()];

/** Ends every session and connection, or those of one hypervisor. */
export async function closeHypervisors(only?: string) {
  const closing = [...open].filter(([alias]) => (only ?? alias) === alias);
  for (const [alias] of closing) open.delete(alias);
  await Promise.all(closing.map(([, hypervisor]) => hypervisor.close()));
}
