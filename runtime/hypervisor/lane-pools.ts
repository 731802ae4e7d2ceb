/** The warm sessions of one hypervisor: a pool for each lane. */
import type { Config } from "../core/config.ts";
import type { Lane } from "./lanes.ts";
import { Session } from "./session.ts";
import { Pool } from "./session-pool.ts";
import type { Transport } from "./transport.ts";

export type HypervisorSettings = Config["virsh"] & Pick<Config["hosts"][string], "sudo">;

/** libvirtd has 20 workers, and libvirt/stats/domstats.ts asks 5 of them at once. */
const STATS_SESSIONS = 5;
/** The longest delay of a timer. */
const NEVER_MS = 2 ** 31 - 1;

export const isTestDriver = ({ uri }: Transport) => uri.startsWith("test:");

export function lanePools(transport: Transport, settings: Config["virsh"]): Record<Lane, Pool> {
  const { sessions, queue, idle } = settings;
  const open = async () => new Session(await transport.openSession());
  if (isTestDriver(transport)) {
    // the state of the test driver lives in its one process, so that session is never closed
    const only = new Pool(open, { max: 1, queue, idle: NEVER_MS });
    return { read: only, stats: only, change: only, agent: only };
  }
  const pool = (max: number) => new Pool(open, { max, queue, idle: idle * 1000 });
  const { read, stats, change, agent } = transport.lanes ?? {
    read: sessions,
    stats: STATS_SESSIONS,
    change: sessions,
    agent: Math.ceil(sessions / 2),
  };
  const lanes = { read: pool(read), stats: pool(stats), change: pool(change), agent: pool(agent) };
  transport.onFull = () => {
    for (const lane of Object.values(lanes)) lane.drop();
  };
  return lanes;
}
