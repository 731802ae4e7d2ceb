/**
 * The open hypervisors of this process; the first command opens one, and loads what that needs: a function that asks no
 * hypervisor answers sooner without.
 */
import { isSsh } from "../core/libvirt-uri.ts";
import { settings, uriOf } from "../core/settings.ts";
import type { Hypervisor } from "./hypervisor.ts";
import type { Transport } from "./transport.ts";

const open = new Map<string, Hypervisor>();

export async function openHypervisor(alias: string): Promise<Hypervisor> {
  const known = open.get(alias);
  if (known) return known;
  const uri = uriOf(alias);
  const { hosts, virsh } = settings();
  const { Hypervisor } = await import("./hypervisor.ts");
  const transport = await transportOf(alias, uri);
  const meanwhile = open.get(alias);
  if (meanwhile) return meanwhile;
  const { sudo } = hosts[alias] ?? {};
  const hypervisor = new Hypervisor(alias, uri, { ...virsh, sudo }, transport);
  open.set(alias, hypervisor);
  return hypervisor;
}

/** SSH is loaded with the first remote hypervisor, since a start without one is quicker. */
export async function transportOf(alias: string, uri: string): Promise<Transport> {
  if (!isSsh(uri)) {
    const { localTransport } = await import("./local.ts");
    return localTransport(uri);
  }
  const { sshTransport } = await import("./ssh/transport.ts");
  return sshTransport(alias, uri, settings().ssh);
}

/** The hypervisors called since the start, or since they were closed. */
export const openHypervisors = () => [...open.values()];

const listening: ((only?: string) => void)[] = [];

/** Told before hypervisors are closed: who would open them again. */
export const beforeClose = (end: (only?: string) => void) => void listening.push(end);

const awaiting: (() => void)[] = [];

/** Told when hypervisors have come beside those that were there. */
export const afterArrival = (look: () => void) => void awaiting.push(look);

export function tellArrival() {
  for (const look of awaiting) look();
}

/** Ends every session and connection, or those of one hypervisor. */
export async function closeHypervisors(only?: string) {
  for (const end of listening) end(only);
  const closing = [...open].filter(([alias]) => (only ?? alias) === alias);
  for (const [alias] of closing) open.delete(alias);
  await Promise.all(closing.map(([, hypervisor]) => hypervisor.close()));
}
