/** The inventory in an order, a page at a time. A cursor stays good while domains come and go. */
import { HyperError } from "../../core/errors.ts";
import type { Vm } from "./vm.ts";

const KEYS = {
  path: () => "",
  name: ({ name }: Vm) => name,
  power_state: ({ state }: Vm) => state ?? "",
  memory_mb: ({ memory }: Vm) => memory ?? -1,
  num_cpu: ({ vcpus }: Vm) => vcpus ?? -1,
} satisfies Record<string, (vm: Vm) => string | number>;

type Key = keyof typeof KEYS;

/** By the field, upwards; with a hyphen before it downwards. */
export const SORTS = Object.keys(KEYS).flatMap((key) => [key, `-${key}`]) as [
  `${"" | "-"}${Key}`,
  ...`${"" | "-"}${Key}`[],
];
export type Sort = (typeof SORTS)[number];

/** What vms are ordered by: the field, then the hypervisor and the name. */
type Place = [string | number, string, string];

export interface Page {
  vms: Vm[];
  /** For the next page; null on the last one. */
  cursor: string | null;
}

/** Throws `invalid_input` for a cursor of another order, or that is none. */
export function pageOf(
  vms: Vm[],
  { sort, limit, cursor }: { sort: Sort; limit: number; cursor?: string | undefined },
): Page {
  const key = KEYS[sort.replace("-", "") as Key];
  const direction = sort.startsWith("-") ? -1 : 1;
  const placeOf = (vm: Vm): Place => [key(vm), vm.host, vm.name];
  const after = cursor === undefined ? undefined : placeIn(cursor, sort);
  const placed = vms
    .map((vm) => ({ vm, place: placeOf(vm) }))
    .filter(({ place }) => after === undefined || compare(place, after) * direction > 0)
    .sort((a, b) => compare(a.place, b.place) * direction);
  const page = placed.slice(0, limit);
  const last = placed.length > limit ? page.at(-1) : undefined;
  return { vms: page.map(({ vm }) => vm), cursor: last ? cursorAt(last.place, sort) : null };
}

function compare(a: Place, b: Place): number {
  for (const [i, one] of a.entries()) {
    const other = b[i] as string | number;
    if (one !== other) return one < other ? -1 : 1;
  }
  return 0;
}

const cursorAt = (place: Place, sort: Sort) =>
  Buffer.from(JSON.stringify([sort, ...place])).toString("base64url");

function placeIn(cursor: string, sort: Sort): Place {
  const [order, ...place] = parse(cursor);
  const isPlace = place.length === 3 && place.slice(1).every((one) => typeof one === "string");
  const isKey = ["string", "number"].includes(typeof place[0]);
  if (order === sort && isPlace && isKey) return place as Place;
  throw new HyperError(
    "invalid_input",
    "cursor: must be the cursor of an earlier answer in the same order",
  );
}

function parse(cursor: string): unknown[] {
  try {
    const list = JSON.parse(Buffer.from(cursor, "base64url").toString());
    return Array.isArray(list) ? list : [];
  } catch {
    return [];
  }
}
