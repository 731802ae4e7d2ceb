/** Rules about the domains that a query selects: of what was measured, that which is about them. */
import { toHyperError } from "../core/errors.ts";
import type { Selected } from "../http/selection.ts";
import { pathOf } from "../http/selection.ts";
import { createContext } from "../hypervisor/context.ts";
import { parseQuery, select } from "../libvirt/inventory/query.ts";
import { readVms } from "../libvirt/inventory/read.ts";
import type { Vm } from "../libvirt/inventory/vm.ts";
import type { Measured, Reading } from "./reading.ts";
import type { StoredRule } from "./rule.ts";

const READ_TIMEOUT_MS = 10_000;

/** Domains of a hypervisor by name: whether the query matches; undefined where that is not known. */
type Answers = Map<string, boolean | undefined>;

/** Inventories that are read once for several rules, while they are evaluated together. */
export type Inventories = Map<string, Promise<Vm[]>>;

/** What was so when a rule was last measured, by rule and hypervisor: libvirt forgets a transient domain that crashes. */
const last = new Map<string, Map<string, Answers>>();

const keyOf = ({ name, created_at }: StoredRule) => `${name} ${created_at}`;

/** Rules that are gone or changed cost no memory. */
export function forgetSelections(rules: StoredRule[]) {
  const kept = new Set(rules.map(keyOf));
  for (const key of last.keys()) if (!kept.has(key)) last.delete(key);
}

/** What was measured of hypervisors as a whole, without what is not selected, and what the query stood for. */
export async function limitToSelected(
  rule: StoredRule,
  measured: Measured,
  known: Inventories,
): Promise<Measured> {
  if (rule.selects === null) return measured;
  const query = parseQuery(rule.selects);
  const before = last.get(keyOf(rule));
  const answers = new Map<string, Answers>();
  const selected: Selected = {
    ...{ query: rule.selects, hosts: measured.complete },
    ...{ domains: [], unknown: [], unreachable: [] },
  };
  await Promise.all(
    measured.complete.map(async (host) => {
      try {
        const vms = await once(known, host);
        const { matching, unknown } = select(query, vms);
        const entries: [string, boolean | undefined][] = [
          ...vms.map(({ name }): [string, boolean] => [name, false]),
          ...matching.map(({ name }): [string, boolean] => [name, true]),
          ...unknown.map(({ name }): [string, undefined] => [name, undefined]),
        ];
        answers.set(host, new Map(entries));
        selected.domains.push(...matching.map(pathOf));
        selected.unknown.push(...unknown.map(pathOf));
      } catch (error) {
        const { message, code } = toHyperError(error);
        selected.unreachable.push({ host, error: message, code });
      }
    }),
  );
  last.set(keyOf(rule), new Map([...(before ?? []), ...answers]));
  const unread = selected.unreachable.map(({ host }) => host);
  const errors = selected.unreachable.map(({ host, error }) => `${host}: select: ${error}`);
  const readings = measured.readings.flatMap((one) => judged(one, [answers, before]));
  return {
    readings,
    complete: measured.complete.filter((host) => !unread.includes(host)),
    errors: [...measured.errors, ...errors],
    selected,
  };
}

/**
 * Crashes are told at once, by what was so when the rule was last measured; the hypervisor is asked about domains that
 * were not there then.
 */
export async function selectCrashes(rule: StoredRule, crashes: Reading[]): Promise<Reading[]> {
  if (rule.selects === null) return crashes;
  const before = last.get(keyOf(rule));
  const isNew = ({ host, object }: Reading) => !before?.get(host)?.has(object);
  const hosts = new Set(crashes.filter(isNew).map(({ host }) => host));
  if (hosts.size === 0) return crashes.flatMap((one) => judged(one, [before]));
  const fresh = { readings: crashes, complete: [...hosts], errors: [] };
  return (await limitToSelected(rule, fresh, new Map())).readings;
}

/** By the first that knows the domain. Where none does, nothing is known, and nothing changes. */
function judged(reading: Reading, known: (Map<string, Answers> | undefined)[]): Reading[] {
  const answers = known.map((one) => one?.get(reading.host));
  const isSelected = answers.find((one) => one?.has(reading.object))?.get(reading.object);
  if (isSelected === false) return [];
  return [isSelected ? reading : { ...reading, value: null }];
}

function once(known: Inventories, host: string): Promise<Vm[]> {
  const reading =
    known.get(host) ??
    readVms(createContext({ host, signal: AbortSignal.timeout(READ_TIMEOUT_MS) }));
  known.set(host, reading);
  return reading;
}
