/** All domains of one hypervisor, as queries ask about them. */
import { HyperError } from "../../core/errors.ts";
import type { Context } from "../../hypervisor/context.ts";
import { beforeClose } from "../../hypervisor/registry.ts";
import { type DefinitionFiles, readDefinitionFiles } from "../definition-files.ts";
import { readDefinitions } from "../definitions.ts";
import { listDomains } from "../domain/domain.ts";
import { parseDomstats } from "../stats/domstats.ts";
import { DOMAIN_STATES } from "../stats/sections.ts";
import { type Facts, factsIn } from "./facts.ts";
import { readLeases } from "./leases.ts";
import type { Vm } from "./vm.ts";

const UNKNOWN: Facts = {
  ...{ memory: null, vcpus: null, tags: null, os: null, networks: null, bridges: null, macs: null },
};

interface Known {
  /** Of libvirt's files when it was read. */
  identity: string;
  facts: Facts;
}

/** By hypervisor and UUID: what has the same identity is not read again. */
const known = new Map<string, Map<string, Known>>();

/** Another hypervisor may come by the same name. */
beforeClose((only) => (only === undefined ? known.clear() : known.delete(only)));

/** A domain whose QEMU does not answer has its last known facts, or none, with the reason. */
export async function readVms(ctx: Context): Promise<Vm[]> {
  const [domains, states, files] = await Promise.all([
    listDomains(ctx, "--all"),
    ctx.virsh(["domstats", "--state"]),
    readDefinitionFiles(ctx),
  ]);
  const stats = parseDomstats(
    states,
    domains.map(({ name }) => name),
  );
  const facts = await readFacts(ctx, domains, files);
  const vms = domains.flatMap(({ uuid, name }): Vm[] => {
    const state = DOMAIN_STATES[Number(stats.get(name)?.fields["state.state"])] ?? null;
    const found = facts.get(uuid);
    return found ? [{ host: ctx.host, name, uuid, state, addresses: null, ...found }] : [];
  });
  return withAddresses(ctx, vms);
}

/** Without the domains that have gone meanwhile. */
async function readFacts(
  ctx: Context,
  domains: { uuid: string; name: string }[],
  identityOf: DefinitionFiles,
): Promise<Map<string, Facts & { reason?: string }>> {
  const before = known.get(ctx.host) ?? new Map<string, Known>();
  const after = new Map<string, Known>();
  const found = new Map<string, Facts & { reason?: string }>();
  const unread: { uuid: string; identity: string | undefined }[] = [];
  for (const { uuid, name } of domains) {
    const identity = identityOf(name);
    const last = before.get(uuid);
    if (identity === undefined || last?.identity !== identity) {
      unread.push({ uuid, identity });
      continue;
    }
    after.set(uuid, last);
    found.set(uuid, last.facts);
  }
  const read = await readDefinitions(
    ctx,
    unread.map(({ uuid }) => uuid),
  );
  unread.forEach(({ uuid, identity }, i) => {
    const definition = read[i];
    if (!definition || definition instanceof HyperError) {
      const isGone = definition?.code === "not_found";
      if (!isGone) found.set(uuid, { ...UNKNOWN, reason: `${definition?.message}` });
      return;
    }
    const facts = factsIn(definition.text);
    const { stuck } = definition;
    found.set(uuid, { ...facts, ...(stuck !== undefined && { reason: stuck }) });
    if (identity !== undefined && stuck === undefined) after.set(uuid, { identity, facts });
  });
  known.set(ctx.host, after);
  return found;
}

/** A domain that is off has none. Of one that runs without a lease, nobody knows. */
async function withAddresses(ctx: Context, vms: Vm[]): Promise<Vm[]> {
  const isOff = ({ state }: Vm) => state === "shut off" || state === "crashed";
  const networks = [
    ...new Set(vms.filter((vm) => !isOff(vm)).flatMap(({ networks }) => networks ?? [])),
  ];
  const leases = await readLeases(ctx, networks);
  for (const vm of vms) {
    const addresses = (vm.macs ?? []).flatMap((mac) => leases.get(mac) ?? []);
    if (isOff(vm)) vm.addresses = [];
    else if (addresses.length > 0) vm.addresses = addresses;
  }
  return vms;
}
