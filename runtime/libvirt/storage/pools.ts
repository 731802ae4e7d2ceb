/** Storage pools: which there are, and how they are read. */
import * as z from "zod";
import type { Context } from "../../hypervisor/context.ts";
import { unlessGone } from "../../hypervisor/outcomes.ts";
import { keyValues, lines } from "../virsh-output.ts";
import { type Element, parseXml, textOf } from "../xml.ts";

type Virsh = Pick<Context, "virsh">;

const Bytes = z.number().nullable().describe("null while the pool is inactive");

export const Pool = z.object({
  name: z.string().meta({ "x-libvirt": "pool" }),
  uuid: z.string(),
  type: z.string().describe("dir, fs, logical, netfs …"),
  path: z.string().nullable(),
  active: z.boolean(),
  persistent: z.boolean(),
  autostart: z.boolean(),
  capacity_bytes: Bytes,
  allocation_bytes: Bytes,
  available_bytes: Bytes,
});

/**
 * The UUIDs of the active pools, or with `--all` of every pool. The list of names would pad them with spaces,
 * which a name may end with itself.
 */
export async function listPools({ virsh }: Virsh, ...options: string[]): Promise<string[]> {
  const rows = lines(await virsh(["pool-list", ...options, "--uuid"]));
  return rows.map((uuid) => uuid.trim());
}

export interface ActivePool {
  uuid: string;
  name: string;
  /** Of a pool whose volumes are the files of one folder. */
  folder: string | undefined;
}

/** The active pools; a pool that goes away meanwhile is left out. */
export async function readActivePools({ virsh }: Virsh): Promise<ActivePool[]> {
  const uuids = await listPools({ virsh });
  const texts = await virsh.settled(
    uuids.flatMap((uuid) => [
      ["pool-name", "--pool", uuid],
      ["pool-dumpxml", "--pool", uuid],
    ]),
  );
  return uuids.flatMap((uuid, i) => {
    const [name, definition] = texts.slice(2 * i, 2 * i + 2).map(unlessGone);
    if (name === undefined || definition === undefined) return [];
    return [{ uuid, name: name.replace(/\n$/, ""), folder: folderOf(definition) }];
  });
}

/** One pool by its name; undefined if it is not active. Throws `not_found`. */
export async function readActivePool(
  { virsh }: Virsh,
  name: string,
): Promise<ActivePool | undefined> {
  const [active = "", definition = ""] = await virsh.all([
    ["pool-list", "--uuid"],
    ["pool-dumpxml", "--pool", name],
  ]);
  if (!definition.includes("<pool")) return undefined;
  const pool = parseXml(definition, "pool");
  const uuid = textOf(pool, "uuid") ?? "";
  const isActive = lines(active).some((row) => row.trim() === uuid);
  // the caller may have given its UUID, and then has it in the answer
  return isActive && textOf(pool, "name") === name
    ? { uuid, name, folder: folderOf(definition) }
    : undefined;
}

function folderOf(definition: string): string | undefined {
  if (!definition.includes("<pool")) return undefined;
  const pool = parseXml(definition, "pool");
  const folder = textOf(pool, "target", "path");
  return /^(dir|fs)$/.test(`${pool["@type"]}`) && folder?.startsWith("/") ? folder : undefined;
}

/** Reads all pools, running or not, in two round trips. */
export async function readPools({ virsh }: Virsh): Promise<z.output<typeof Pool>[]> {
  const uuids = await listPools({ virsh }, "--all");
  const texts = await virsh.settled(
    uuids.flatMap((uuid) => [
      ["pool-info", "--pool", uuid, "--bytes"],
      ["pool-dumpxml", "--pool", uuid],
    ]),
  );
  return uuids.flatMap((uuid, i) => {
    const [info, definition] = texts.slice(2 * i, 2 * i + 2).map(unlessGone);
    if (info === undefined || definition === undefined) return [];
    return [parsePool(uuid, info, parseXml(definition, "pool"))];
  });
}

function parsePool(uuid: string, info: string, pool: Element): z.output<typeof Pool> {
  const { State, Persistent, Autostart, Capacity, Allocation, Available } = keyValues(info);
  const active = State === "running";
  const bytes = (text: string | undefined) => (active && text ? Number(text) : null);
  return {
    name: textOf(pool, "name") ?? "",
    uuid,
    type: `${pool["@type"]}`,
    path: textOf(pool, "target", "path") ?? null,
    active,
    persistent: Persistent === "yes",
    autostart: Autostart === "yes",
    capacity_bytes: bytes(Capacity),
    allocation_bytes: bytes(Allocation),
    available_bytes: bytes(Available),
  };
}
