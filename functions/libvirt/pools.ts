/** GET /libvirt/pools: all storage pools of the hypervisor, running or not. */
import * as z from "zod";
import { defineFunction } from "#runtime/function/define.ts";
import { unlessGone } from "#runtime/hypervisor/hypervisor.ts";
import { keyValues, lines } from "#runtime/libvirt/virsh-output.ts";
import { parseXml, textOf } from "#runtime/libvirt/xml.ts";

const Bytes = z.number().nullable().describe("null while the pool is inactive");

export default defineFunction({
  method: "GET",
  access: "read",
  summary: "List storage pools",
  input: z.strictObject({}),
  output: z.object({
    pools: z.array(
      z.object({
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
      }),
    ),
    total: z.int(),
  }),
  message: ({ total }) => `${total} ${total === 1 ? "pool" : "pools"}`,

  async run(_input, { virsh }) {
    const uuids = lines(await virsh(["pool-list", "--all", "--uuid"])).map((uuid) => uuid.trim());
    const texts = await virsh.settled(
      uuids.flatMap((uuid) => [
        ["pool-info", "--pool", uuid, "--bytes"],
        ["pool-dumpxml", "--pool", uuid],
      ]),
    );
    const pools = uuids.flatMap((uuid, i) => {
      const [info, definition] = texts.slice(2 * i, 2 * i + 2).map(unlessGone);
      if (info === undefined || definition === undefined) return [];
      const pool = parseXml(definition, "pool");
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
    });
    return { pools, total: pools.length };
  },
});
