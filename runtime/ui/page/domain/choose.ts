/** Which domains are listed, and in which order. */
import { allDomains, type Domain, keyOf } from "../state/fleet.ts";

const KEYS = {
  name: ({ name }: Domain) => name.toLowerCase(),
  state: ({ state }: Domain) => state,
  cpu: ({ cpu_percent }: Domain) => cpu_percent ?? -1,
  memory: ({ memory_percent, memory_kb }: Domain) => memory_percent ?? (memory_kb ?? -1) / 1e12,
  disk: ({ disk_read, disk_write }: Domain) => (disk_read ?? -1) + (disk_write ?? -1),
  net: ({ net_rx, net_tx }: Domain) => (net_rx ?? -1) + (net_tx ?? -1),
};
export type SortKey = keyof typeof KEYS;

const collator = new Intl.Collator("en", { numeric: true });

/** The keys of those whose name or hypervisor has the text. */
export function chosen(text: string, state: string, sort: SortKey, isDown: boolean): string[] {
  const wanted = text.trim().toLowerCase();
  const found = allDomains()
    .map((row) => row.peek())
    .filter(
      (domain) =>
        (!state || domain.state === state) &&
        (!wanted || `${domain.host}/${domain.name}`.toLowerCase().includes(wanted)),
    );
  const key = KEYS[sort];
  const compare = (a: Domain, b: Domain) => {
    const [one, other] = [key(a), key(b)];
    const order = typeof one === "number" ? one - Number(other) : collator.compare(one, `${other}`);
    return (isDown ? -order : order) || collator.compare(a.name, b.name);
  };
  return found.sort(compare).map(({ host, name }) => keyOf(host, name));
}
