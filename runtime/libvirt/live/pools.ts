/** The storage pools of a hypervisor, and the volumes of one of them, as they change. */
import * as z from "zod";
import { latest } from "../../core/latest.ts";
import { readPoolVolumes } from "../storage/images.ts";
import { Pool, readPools } from "../storage/pools.ts";
import { Volume } from "../storage/volume.ts";
import { type Reading, readingOf } from "./reading.ts";

const why = z.string().nullable();

export const LivePools = z.object({
  pools: z.array(Pool).nullable().describe("null where they are as they were told last"),
  error: why.describe("why the pools cannot be read now"),
  volumes: z.array(Volume).nullable().describe("those of `pool`; null where they are as before"),
  volumes_error: why.describe("why the volumes cannot be read now"),
});

export function watchPools(host: string, pool: string | undefined, signal: AbortSignal) {
  const pools = readingOf("pools", { host, kinds: ["pool"], read: readPools });
  const volumes =
    pool === undefined
      ? undefined
      : readingOf(`volumes ${pool}`, {
          ...{ host, kinds: ["pool"] },
          read: async (ctx) => (await readPoolVolumes(ctx, pool)).volumes,
        });
  const [newPools, newVolumes] = [news(pools), news(volumes)];
  const take = () => {
    const told = { pools: newPools(), volumes: newVolumes() };
    const [error, volumes_error] = [pools.error, volumes?.error ?? null];
    const isKnown = told.pools ?? told.volumes ?? error ?? volumes_error;
    return isKnown === null ? undefined : { ...told, error, volumes_error };
  };
  return latest<z.output<typeof LivePools>>(
    volumes ? [pools, volumes] : [pools],
    take,
    signal,
    "pools",
  );
}

/** The value of a reading where it is another one than at the last call. */
function news<T>(reading: Reading<T> | undefined): () => T | null {
  let told: T | undefined;
  return () => {
    const value = reading?.value;
    if (value === undefined || value === told) return null;
    told = value;
    return value;
  };
}
