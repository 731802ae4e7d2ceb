/** The samples of a hypervisor's storage pools. */

import { HyperError } from "../core/errors.ts";
import type { Context } from "../hypervisor/context.ts";
import { keyValues, lines } from "../libvirt/virsh-output.ts";
import type { Sample } from "./names.ts";

/** virsh's word for each value of libvirt's virStoragePoolState. */
const POOL_STATES = ["inactive", "building", "running", "degraded", "inaccessible"];

/** A pool that takes longer, such as one on a dead NFS server, counts as timed out. */
const POOL_TIMEOUT_MS = 2000;

export async function poolSamples({ virsh }: Context): Promise<Sample[]> {
  const uuids = lines(await virsh(["pool-list", "--all", "--uuid"])).map((uuid) => uuid.trim());
  const names = await virsh.settled(uuids.map((uuid) => ["pool-name", "--pool", uuid]));
  const samples = uuids.map(async (uuid, i) => {
    const name = names[i];
    if (typeof name !== "string") return []; // the pool has gone meanwhile
    const command = ["pool-info", "--pool", uuid, "--bytes"];
    const info = await virsh(command, { timeout: POOL_TIMEOUT_MS }).catch((error: Error) => error);
    return samplesOf(name.replace(/\n$/, ""), info);
  });
  return (await Promise.all(samples)).flat();
}

function samplesOf(pool: string, info: string | Error): Sample[] {
  const labels = { storage_pool: pool };
  const late = info instanceof HyperError && ["timed_out", "busy"].includes(info.code);
  const timed_out: Sample = { name: "libvirt_storage_pool_timed_out", labels, value: late ? 1 : 0 };
  if (typeof info !== "string") return late ? [timed_out] : [];
  const { State = "", Capacity, Allocation, Available } = keyValues(info);
  const sizes = { capacity: Capacity, allocation: Allocation, available: Available };
  return [
    timed_out,
    { name: "libvirt_storage_pool_state", labels, value: POOL_STATES.indexOf(State) },
    ...Object.entries(sizes).flatMap(([key, text]): Sample[] => {
      if (text === undefined) return []; // the pool is inactive
      const size = key as keyof typeof sizes;
      return [
        { name: `libvirt_storage_pool_${size}_bytes`, labels, value: Number(text) },
        { name: `libvirt_pool_info_${size}_bytes`, labels: { pool }, value: Number(text) },
      ];
    }),
  ];
}
